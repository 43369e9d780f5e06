// The photo in the browser: dropping, pasting, choosing and taking it; drawing a frame on it. Everything works without this
// file but pasting, dropping and drawing.

const MOST_BYTES = 20 * 1024 * 1024;
const RESTS_MS = 350; // a hand that rests this long has finished its frame
const wait = document.getElementById("wait");

/** Say what is waited for, once it takes longer than a blink. */
function startWaiting() {
  setTimeout(() => { wait.hidden = false; }, 300);
}

/** Send a photo with a form, or say beside it why not. */
function send(form, file) {
  const message = form.querySelector("[data-message]");
  const wrong = !file.type.startsWith("image/") && !/\.(heic|heif|avif)$/i.test(file.name)
    ? "This file is not a photo."
    : file.size > MOST_BYTES ? "This photo is larger than 20 MB." : "";
  if (wrong) {
    if (message) message.textContent = wrong;
    return;
  }
  const carrier = new DataTransfer();
  carrier.items.add(file);
  form.querySelector("input[name=photo]").files = carrier.files;
  startWaiting();
  form.submit();
}

for (const form of document.querySelectorAll("[data-photo-form]")) {
  for (const input of form.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => input.files.length && send(form, input.files[0]));
  }
}
for (const form of document.querySelectorAll("[data-example-form]")) form.addEventListener("submit", startWaiting);

const receiver = document.querySelector("[data-drop]") ?? document.querySelector("[data-photo-form]");
if (receiver) {
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((f) => f.type.startsWith("image/"));
    if (file) send(receiver, file);
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    receiver.classList.add("over");
  });
  addEventListener("dragleave", () => receiver.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    receiver.classList.remove("over");
    if (event.dataTransfer.files.length) send(receiver, event.dataTransfer.files[0]);
  });
}

/** Let a frame be drawn on the photo with mouse, pen or finger; the results follow when the hand rests. */
function drawable(canvas) {
  if (canvas.dataset.ready) return;
  canvas.dataset.ready = "yes";
  const width = Number(canvas.dataset.width);
  const height = Number(canvas.dataset.height);
  let start = null;
  let frame = null;
  let resting = 0;

  const at = (event) => {
    const area = canvas.getBoundingClientRect();
    const share = (value, low, size) => Math.min(1, Math.max(0, (value - low) / size));
    return { x: share(event.clientX, area.left, area.width), y: share(event.clientY, area.top, area.height) };
  };
  const corners = (end) => [Math.min(start.x, end.x), Math.min(start.y, end.y), Math.max(start.x, end.x), Math.max(start.y, end.y)];

  canvas.addEventListener("dragstart", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    clearTimeout(resting);
    start = at(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!start) return;
    const [x0, y0, x1, y1] = corners(at(event));
    if (!frame) {
      if ((x1 - x0) * canvas.clientWidth < 8 && (y1 - y0) * canvas.clientHeight < 8) return;
      canvas.querySelector(".frame")?.remove();
      frame = document.createElement("div");
      frame.className = "frame";
      canvas.append(frame);
      canvas.setPointerCapture(event.pointerId);
    }
    Object.assign(frame.style, { left: `${x0 * 100}%`, top: `${y0 * 100}%`, width: `${(x1 - x0) * 100}%`, height: `${(y1 - y0) * 100}%` });
  });
  const finish = (event) => {
    if (!start) return;
    const [x0, y0, x1, y1] = corners(at(event));
    const drawn = frame;
    start = frame = null;
    if (!drawn || (x1 - x0) * width < 16 || (y1 - y0) * height < 16) return drawn?.remove();
    canvas.addEventListener("click", (click) => click.preventDefault(), { once: true, capture: true });
    const box = [x0 * width, y0 * height, x1 * width, y1 * height].map(Math.round).join(",");
    resting = setTimeout(() => look(canvas, box), RESTS_MS);
  };
  canvas.addEventListener("pointerup", finish);
  canvas.addEventListener("pointercancel", () => { start = null; frame?.remove(); frame = null; });
}

/** Ask for the results of a frame, in the same page; filters stay. */
function look(canvas, box) {
  const address = new URL(location.href);
  address.searchParams.set("box", box);
  address.searchParams.delete("category");
  address.searchParams.delete("n");
  canvas.classList.add("sweep");
  const to = address.pathname + address.search;
  htmx.ajax("GET", to, { target: "#results", select: "#results", swap: "outerHTML" }).then(() => history.pushState({ htmx: true }, "", to));
}

/** Make what came with the page, or with a part of it, ready. */
function ready(root) {
  for (const canvas of root.querySelectorAll("[data-canvas]")) drawable(canvas);
  if (matchMedia("(min-width: 900px)").matches) for (const sheet of root.querySelectorAll("[data-sheet]")) sheet.open = true;
}

ready(document);
document.addEventListener("htmx:afterSettle", () => {
  ready(document);
  const headline = document.getElementById("headline");
  if (headline) document.title = `${headline.textContent} · Haberdash`;
});
document.addEventListener("htmx:sendError", () => {
  wait.textContent = "The shop cannot be reached. Check your connection and try again.";
  wait.hidden = false;
});
document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) wait.hidden = true; });

// Keys of the label desk: arrows choose a row, numbers a value, Enter accepts and goes on, U undoes, S skips, ? lists keys.

const desk = document.querySelector("[data-desk]");
const rows = [...desk.querySelectorAll("[data-row]")];
const remembered = Number(sessionStorage.getItem("desk-row") ?? 0);

/** A tap on a value: single groups take it, groups of several toggle it among those that are held. */
function prepare(row, button) {
  if (!row.dataset.multi || button.value === "") {
    for (const held of row.querySelectorAll("[data-held]")) held.remove();
    return;
  }
  const held = [...row.querySelectorAll("[data-held]")].find((input) => input.value === button.value);
  if (!held) return;
  held.remove();
  button.value = ""; // it is switched off: only the others are sent
}

for (const [i, row] of rows.entries()) {
  row.addEventListener("focusin", () => sessionStorage.setItem("desk-row", i));
  for (const button of row.querySelectorAll("[data-key]")) button.addEventListener("click", () => prepare(row, button));
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=hidden]), textarea, select")) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[at];
  const number = /^[0-9]$/.test(event.key) ? row?.querySelector(`[data-key="${event.key}"]`) : null;
  if (number) number.click();
  else if (event.key === "ArrowDown") rows[Math.min(rows.length - 1, at + 1)].focus();
  else if (event.key === "ArrowUp") rows[Math.max(0, at - 1)].focus();
  else if (event.key === "Enter" && !event.target.matches("button, a, summary")) desk.querySelector("[data-accept] button").click();
  else if (event.key.toLowerCase() === "u") desk.querySelector("[data-undo] button").click();
  else if (event.key.toLowerCase() === "s") desk.querySelector("[data-skip]")?.click();
  else if (event.key === "?") desk.querySelector("[data-keys]").toggleAttribute("open");
  else return;
  event.preventDefault();
});

rows[Math.min(remembered, rows.length - 1)]?.focus({ preventScroll: true });

"""All settings of the shop. The environment is read here and nowhere else; docs/settings.md lists every name."""

import os
import secrets
from pathlib import Path

import dj_database_url
from django.templatetags.static import static
from django.urls import reverse_lazy

ROOT = Path(__file__).resolve().parent.parent


def _text(name: str, default: str) -> str:
    return os.environ.get(f"HABERDASH_{name}", default)


def _whole(name: str, default: int) -> int:
    text = _text(name, str(default))
    if not text.isdigit():
        raise SystemExit(f"error: HABERDASH_{name} must be a whole number, not {text!r}")
    return int(text)


def _words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in _text(name, default).split(",") if word.strip()]


def _secret(file: Path) -> str:
    """The key that signs sessions: from the environment, else made once and kept beside the database."""
    if given := _text("SECRET_KEY", ""):
        return given
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_suffix(f".{os.getpid()}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(50))
        aside.replace(file)
    return file.read_text()


# ---- where things are kept
VAR = Path(_text("VAR", str(ROOT / "var"))).resolve()
VAR.mkdir(parents=True, exist_ok=True)
INDEX_DIR = VAR / "index"
MEDIA_ROOT = VAR / "media"
MEDIA_URL = "/media/"
QUERY_DIR = VAR / "queries"
DATABASES = {"default": dj_database_url.config("DATABASE_URL", f"sqlite:///{VAR / 'shop.sqlite3'}", conn_max_age=60)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Web workers and the indexer write at once: wait for each other instead of failing, and never block readers.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    }  # fmt: skip

# ---- what the shop reads
DATA = _text("DATA", "")
RECOGNIZER = _text("RECOGNIZER", "mobilenet")
DETECTOR = _text("DETECTOR", "faster_rcnn")
WEIGHTS = _text("WEIGHTS", "")  # a folder with other weights than those that ship
THREADS = _whole("THREADS", os.cpu_count() or 2)
RUNTIME = _text("RUNTIME", "auto")  # what the models run on; auto takes what this processor does best
CURRENCY = _text("CURRENCY", "EUR")
DEMO_LIMIT = _whole("DEMO_LIMIT", 0)  # products of the demo catalogue; 0 for all

# ---- limits for what comes from outside
PHOTO_MAX_BYTES = _whole("PHOTO_MAX_MB", 20) * 1024 * 1024
PHOTO_MAX_PIXELS = _whole("PHOTO_MAX_MEGAPIXELS", 50) * 1_000_000
PHOTO_QUEUE = _whole("PHOTO_QUEUE", 8)  # photos that one process looks at and lets wait at a time
QUERY_KEPT_S = _whole("QUERY_KEPT_S", 3600)
DATA_UPLOAD_MAX_MEMORY_SIZE = PHOTO_MAX_BYTES + 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20
SEARCH_RATE = _text("SEARCH_RATE", "120/min")
WRITE_RATE = _text("WRITE_RATE", "600/min")

# ---- Django
DEBUG = _text("DEBUG", "") == "1"
SECRET_KEY = _secret(VAR / "secret-key")
ALLOWED_HOSTS = _words("HOSTS", "127.0.0.1,localhost,[::1],testserver")
CSRF_TRUSTED_ORIGINS = _words("TRUSTED_ORIGINS")
CORS_ALLOWED_ORIGINS = _words("CORS_ORIGINS")
CORS_URLS_REGEX = r"^/api/.*$"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _text("HTTPS", "") == "1"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SESSION_COOKIE_SECURE else None

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "corsheaders",
    "import_export",
    "simple_history",
    "django_htmx",
    "webapp.catalog",
    "webapp.storefront",
    "webapp.merchandising",
    "webapp.api",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "webapp.security.ContentSecurityPolicy",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "webapp.urls"
WSGI_APPLICATION = "webapp.wsgi.application"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LANGUAGE_CODE = "en"
TIME_ZONE = _text("TIME_ZONE", "UTC")
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": VAR / "cache"}}
SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": _text("LOG_LEVEL", "WARNING")},
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissionsOrAnonReadOnly"],
    "DEFAULT_THROTTLE_CLASSES": ["webapp.api.throttling.SearchThrottle", "webapp.api.throttling.WriteThrottle"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 24,
    "EXCEPTION_HANDLER": "webapp.api.problems.answer",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Haberdash",
    "DESCRIPTION": "A photo goes in, products that look like it come out, filtered exactly.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
}
UNFOLD = {
    "SITE_TITLE": "Haberdash",
    "SITE_HEADER": "Haberdash",
    "SITE_SYMBOL": "styler",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": True,
    "BORDER_RADIUS": "2px",
    "STYLES": [lambda request: static("merchandising/desk.css")],
    "COLORS": {
        "primary": {
            "50": "253 242 239", "100": "250 226 219", "200": "245 196 183", "300": "237 158 138", "400": "226 112 86",
            "500": "206 80 52", "600": "178 61 36", "700": "148 50 30", "800": "121 44 29", "900": "100 40 29",
            "950": "55 18 11",
        }
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {"title": "Merchandising", "items": [
                {"title": "Label desk", "icon": "sell", "link": reverse_lazy("admin:label-desk")},
                {"title": "Products", "icon": "apparel", "link": reverse_lazy("admin:catalog_product_changelist")},
                {"title": "Import", "icon": "upload", "link": reverse_lazy("admin:import-catalogue")},
                {"title": "Corrections", "icon": "history", "link": reverse_lazy("admin:catalog_correction_changelist")},
            ]},
            {"title": "Running", "items": [
                {"title": "Health", "icon": "monitor_heart", "link": reverse_lazy("admin:health")},
                {"title": "Jobs", "icon": "pending_actions", "link": reverse_lazy("admin:catalog_job_changelist")},
                {"title": "People", "icon": "group", "link": reverse_lazy("admin:auth_user_changelist"),
                 "permission": lambda request: request.user.has_perm("auth.view_user")},
                {"title": "Tokens", "icon": "key", "link": reverse_lazy("admin:authtoken_tokenproxy_changelist"),
                 "permission": lambda request: request.user.has_perm("authtoken.view_tokenproxy")},
            ]},
        ],
    },
}  # fmt: skip

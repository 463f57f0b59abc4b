"""django-oauth-toolkit on loopback, for the end-to-end tests: only its configuration is written here.

The first line of standard input is JSON: {"clients": [{"id", "secret", "method"}], "rotation": bool, "prefix": text}. The
program prints its port when it is ready, and ends when standard input ends. Tokens begin with the prefix.
"""

import json
import os
import secrets
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

given = json.loads(sys.stdin.readline())
folder = tempfile.TemporaryDirectory()


def refresh_token(_request):
    return f"{given['prefix']}-{secrets.token_urlsafe(24)}"


# The names that the settings below give as paths.
sys.modules["server"] = sys.modules[__name__]
# The password grant is deprecated: it is the shortest way to a token.
warnings.simplefilter("ignore")
settings.configure(
    SECRET_KEY=secrets.token_hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="server",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    # It states the length of answers, without which connections do not stay open.
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(folder.name) / "db.sqlite3",
            "OPTIONS": {
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
                "timeout": 60,
                "transaction_mode": "IMMEDIATE",
            },
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    # The default takes a tenth of a second for each password.
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    USE_TZ=True,
    LOGGING_CONFIG=None,
    OAUTH2_PROVIDER={
        "REFRESH_TOKEN_GENERATOR": "server.refresh_token",
        "ROTATE_REFRESH_TOKEN": given["rotation"],
        "SCOPES": {"read": "Read", "introspection": "Introspect tokens"},
    },
)
django.setup()
call_command("migrate", verbosity=0)

# Models can be imported only now.
from django.contrib.auth.models import User  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402

urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]

user = User.objects.create_user("user", password="password")
for client in given["clients"]:
    public = client["method"] == "none"
    Application.objects.create(
        client_id=client["id"],
        client_secret=client.get("secret") or "",
        client_type=Application.CLIENT_PUBLIC if public else Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_PASSWORD,
        user=user,
    )


class Handler(WSGIRequestHandler):
    """Django's own, without a line for each request."""

    def log_message(self, *_):
        pass


def end_with_standard_input():
    while sys.stdin.read(1024):
        pass
    folder.cleanup()
    os._exit(0)


server = ThreadedWSGIServer(("127.0.0.1", 0), Handler, ipv6=False)
server.set_app(get_wsgi_application())
threading.Thread(target=end_with_standard_input, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()

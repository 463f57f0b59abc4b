"""Authlib on loopback, for the end-to-end tests: the endpoints are those that its documentation shows.

The first line of standard input is JSON: {"clients": [{"id", "secret", "method", "key"}], "rotation": bool, "prefix":
text}. The program prints its port when it is ready, and ends when standard input ends. Tokens begin with the prefix.
"""

import json
import logging
import os
import secrets
import sys
import threading
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

METHODS = {
    "basic": "client_secret_basic",
    "post": "client_secret_post",
    "none": "none",
    "private_key_jwt": "private_key_jwt",
}

given = json.loads(sys.stdin.readline())
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


class Client(ClientMixin):
    def __init__(self, id, method, secret=None, key=None):
        self.client_id, self.secret, self.key = id, secret, key
        self.method = METHODS[method]

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_client_secret(self, client_secret):
        return secrets.compare_digest(self.secret or "", client_secret)

    def check_endpoint_auth_method(self, method, endpoint):
        return method == self.method

    def check_grant_type(self, grant_type):
        return grant_type in ("password", "refresh_token")


class Token(TokenMixin):
    def __init__(self, client_id, access_token, refresh_token, expires_in, **_):
        self.client_id, self.access_token, self.refresh_token = client_id, access_token, refresh_token
        self.expires_at = time.time() + expires_in
        self.access_token_revoked = self.refresh_token_revoked = False

    def check_client(self, client):
        return self.client_id == client.get_client_id()

    def get_scope(self):
        return ""

    def get_expires_in(self):
        return 0

    def is_revoked(self):
        return self.refresh_token_revoked

    def is_expired(self):
        return self.expires_at < time.time()


clients = {client["id"]: Client(**client) for client in given["clients"]}
by_access_token, by_refresh_token = {}, {}


def save_token(token, request):
    # Without rotation a refreshed access token comes without a refresh token.
    if "refresh_token" in token:
        saved = Token(request.client.client_id, **token)
        by_access_token[saved.access_token] = by_refresh_token[saved.refresh_token] = saved


class PasswordGrant(grants.ResourceOwnerPasswordCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = [*METHODS.values()]

    def authenticate_user(self, username, password):
        return username if password == "password" else None


class RefreshTokenGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = [*METHODS.values()]
    INCLUDE_NEW_REFRESH_TOKEN = given["rotation"]

    def authenticate_refresh_token(self, refresh_token):
        token = by_refresh_token.get(refresh_token)
        return token if token and not token.is_revoked() else None

    def authenticate_user(self, refresh_token):
        return "user"

    def revoke_old_credential(self, refresh_token):
        refresh_token.refresh_token_revoked = self.INCLUDE_NEW_REFRESH_TOKEN


class Found:
    """The look-up and the marks that the documentation of both endpoints shows."""

    CLIENT_AUTH_METHODS = [*METHODS.values()]

    def query_token(self, token_string, token_type_hint):
        if token_type_hint == "access_token":
            return by_access_token.get(token_string)
        if token_type_hint == "refresh_token":
            return by_refresh_token.get(token_string)
        return by_access_token.get(token_string) or by_refresh_token.get(token_string)


class Revocation(Found, RevocationEndpoint):
    def revoke_token(self, token, request):
        token.access_token_revoked = True
        if request.form.get("token_type_hint") != "access_token":
            token.refresh_token_revoked = True


class Introspection(Found, IntrospectionEndpoint):
    def check_permission(self, token, client, request):
        return client.method != "none"

    def introspect_token(self, token):
        return {"active": True, "client_id": token.client_id}


class ClientAssertion(JWTBearerClientAssertion):
    CLIENT_AUTH_METHOD = "private_key_jwt"
    used = set()

    def get_audiences(self):
        return [f"http://127.0.0.1:{server.server_port}/{endpoint}" for endpoint in ("token", "revoke", "introspect")]

    def validate_jti(self, claims, jti):
        fresh = jti not in self.used
        self.used.add(jti)
        return fresh

    def resolve_client_public_key(self, client):
        return client.key


class Handler(WSGIRequestHandler):
    """Werkzeug's own, with connections that stay open."""

    protocol_version = "HTTP/1.1"


def end_with_standard_input():
    while sys.stdin.read(1024):
        pass
    os._exit(0)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
app = Flask(__name__)
app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = lambda **_: f"{given['prefix']}-{secrets.token_urlsafe(24)}"
authorization = AuthorizationServer(app, clients.get, save_token)
authorization.register_client_auth_method(ClientAssertion.CLIENT_AUTH_METHOD, ClientAssertion())
authorization.register_grant(PasswordGrant)
authorization.register_grant(RefreshTokenGrant)
authorization.register_endpoint(Revocation)
authorization.register_endpoint(Introspection)


@app.post("/token")
def token():
    return authorization.create_token_response()


@app.post("/revoke")
def revoke():
    return authorization.create_endpoint_response(Revocation.ENDPOINT_NAME)


@app.post("/introspect")
def introspect():
    return authorization.create_endpoint_response(Introspection.ENDPOINT_NAME)


server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
threading.Thread(target=end_with_standard_input, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()

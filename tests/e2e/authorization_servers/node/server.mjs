// node-oidc-provider on loopback, for the end-to-end tests: only its configuration is written here.
//
// The first line of standard input is JSON: {"clients": [{"id", "secret", "method", "key"}], "rotation": bool}. The
// program prints its port when it is ready, and ends when standard input ends. The development views of the library are
// the login and consent forms.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { Provider } from 'oidc-provider';

const METHODS = {
  basic: 'client_secret_basic',
  post: 'client_secret_post',
  none: 'none',
  private_key_jwt: 'private_key_jwt',
};

const HOUR = 3600; // seconds

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, 'line');
lines.on('close', () => process.exit(0));
const { clients, rotation } = JSON.parse(line);

function registered({ id, secret, method, key }) {
  const client = {
    client_id: id,
    token_endpoint_auth_method: METHODS[method],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback'],
  };
  if (secret) client.client_secret = secret;
  if (key) {
    client.jwks = { keys: [key] };
    client.token_endpoint_auth_signing_alg = 'ES256';
  }
  // Over plain HTTP to a loopback address, as a native application may.
  client.application_type = 'native';
  return client;
}

const server = createServer();
server.keepAliveTimeout = HOUR * 1000;
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: clients.map(registered),
  clientAuthMethods: Object.values(METHODS),
  cookies: { keys: ['of the tests'] },
  features: {
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  pkce: { required: () => true },
  rotateRefreshToken: rotation,
  scopes: ['openid', 'offline_access'],
  ttl: { AccessToken: HOUR, Grant: HOUR, Interaction: HOUR, RefreshToken: HOUR, Session: HOUR },
});
server.on('request', provider.callback());
console.log(port);

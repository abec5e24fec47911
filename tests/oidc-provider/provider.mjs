// An OpenID Connect provider that nobody here wrote (npm `oidc-provider`), set up as its documentation has it, with
// its own sign-in pages for development. Started by tests/e2e/oidc_foreign.rs, which hands in one JSON object:
// {issuer, port, cert, key, client: {...}, accounts: {login: claims}}. Prints `ready` when it listens.

import https from 'node:https';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

// The module stands in the folder that the test installed it to, not beside this file.
const require = createRequire(path.join(process.cwd(), 'package.json'));
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const setup = JSON.parse(readFileSync(0, 'utf8'));
const provider = new Provider(setup.issuer, {
  clients: [setup.client],
  pkce: { required: () => true, methods: ['S256'] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'groups'],
  },
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
  },
  cookies: { keys: [setup.cookieKey] },
  // The gate is on loopback, whatever this machine makes of names under `localhost`.
  httpOptions: () => ({
    dnsLookup(host, options, done) {
      const [found, family] = ['127.0.0.1', 4];
      return options?.all ? done(null, [{ address: found, family }]) : (done ?? options)(null, found, family);
    },
  }),
  async findAccount(ctx, id) {
    const claims = setup.accounts[id];
    return claims && { accountId: id, claims: async () => ({ sub: id, ...claims }) };
  },
});
provider.on('server_error', (ctx, error) => console.error(error));
provider.on('backchannel.error', (ctx, error) => console.error('back-channel', error));
provider.on('backchannel.success', () => console.log('back-channel told'));
https
  .createServer({ cert: setup.cert, key: setup.key }, provider.callback())
  .listen(setup.port, '127.0.0.1', () => console.log('ready'));

// An OpenID provider as others have written it: `node oidc_provider.mjs PACKAGES CALLBACK` serves the npm package
// oidc-provider on a free port of this machine and says its issuer on standard output. PKCE is not optional, nobody is
// known before, whoever signs in has the address NAME@example.org.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [packages, callback] = process.argv.slice(2);
const find = createRequire(`${packages}/package.json`);
const { default: Provider } = await import(pathToFileURL(find.resolve('oidc-provider')));

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'the-client',
        client_secret: 'the-secret-of-the-client-of-32-bytes',
        redirect_uris: [callback],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['a key of this process alone'] },
    features: { devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: true, name: id }),
    }),
    pkce: { required: () => true },
  });
  server.on('request', provider.callback());
  console.log(issuer);
});
// It ends with the test that holds its standard input.
process.stdin.on('end', () => process.exit(0)).resume();

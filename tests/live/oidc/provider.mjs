// A real OpenID Connect provider for the tests. Who signs in names themselves; their groups stand
// behind the name: "anna+icu-nurses+ward-3" is anna, of two groups.
//
//   node provider.mjs CLIENT_ID CLIENT_SECRET REDIRECT_URI
//
// Prints its issuer, and ends when its standard input does.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const [clientId, clientSecret, redirectUri] = process.argv.slice(2);

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    }],
    claims: { openid: ["sub"], profile: ["preferred_username", "groups"] },
    // What is asked for by scope is in the ID token, not only at the userinfo endpoint.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    cookies: { keys: ["of the tests only"] },
    findAccount: (_context, login) => {
      const [name, ...groups] = login.split("+");
      return {
        accountId: login,
        claims: () => ({ sub: login, preferred_username: name, groups }),
      };
    },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

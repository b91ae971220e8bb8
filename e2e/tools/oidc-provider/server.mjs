// A real OpenID provider for the end-to-end tests: npm oidc-provider, with refresh tokens that are good once (the reuse
// of one ends its whole family), resource indicators, pushed requests and proof by key.
//
// Arguments: the folder of node_modules, and a JSON file with {issuer, port, clients, keys, lifetime, apis}.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [modules, file] = process.argv.slice(2);
const settings = JSON.parse(readFileSync(file, "utf8"));
const library = pathToFileURL(`${modules}/oidc-provider/lib/index.js`);
const { default: Provider, errors } = await import(library);

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: { keys: settings.keys },
  cookies: { keys: [randomBytes(32).toString("hex")] },
  scopes: ["openid", "offline_access", "profile", "read"],
  claims: { openid: ["sub", "sid"], profile: ["name"] },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  clientAuthMethods: ["private_key_jwt"],
  enabledJWA: { clientAuthSigningAlgValues: ["ES256"] },
  ttl: {
    AccessToken: settings.lifetime,
    Grant: 3600,
    IdToken: 300,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `Person ${id}` }),
  }),
  features: {
    devInteractions: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => {
        if (!settings.apis.includes(resource)) {
          throw new errors.InvalidTarget();
        }
        return {
          scope: "read",
          audience: resource,
          accessTokenTTL: settings.lifetime,
          accessTokenFormat: "jwt",
        };
      },
    },
  },
});

// What tests ask for afterwards: one line for each refresh and for each family that was ended.
for (const event of ["grant.success", "grant.error", "grant.revoked"]) {
  provider.on(event, (context, error) => {
    const kind = context?.oidc?.params?.grant_type ?? "";
    console.log(`event ${event} ${kind} ${error?.error ?? ""}`);
  });
}

provider.listen(settings.port, "127.0.0.1");

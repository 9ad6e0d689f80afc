import type { Fate } from '../../traefik/given-values.ts'

/** Fate of the options of a provider, which versions 3 and 4 have in common. */
export const PROVIDER_FATES: Readonly<Record<string, Fate>> = {
  clientID: { kind: 'carried', text: 'OIDC_CLIENT_ID.' },
  clientSecret: { kind: 'carried', text: 'OIDC_CLIENT_SECRET, in a file.' },
  clientSecretFile: { kind: 'carried', text: 'OIDC_CLIENT_SECRET, in a file of its own.' },
  tenantID: { kind: 'carried', text: 'The tenant in OIDC_ISSUER_URL.' },
  tokenIssuer: {
    kind: 'carried',
    text: 'OIDC_ISSUER_URL, which must be the issuer of the metadata to the letter.',
  },
  endpoint: {
    kind: 'carried',
    text: 'OIDC_ISSUER_URL, which must be the issuer of the metadata to the letter.',
  },
  scopes: { kind: 'carried', text: 'OIDC_SCOPES.' },
  enablePKCE: { kind: 'stricter', text: 'PKCE is always used; the provider has to permit it.' },
  requestTimeout: { kind: 'dropped', text: 'Requests to the provider have limits of their own.' },
  tlsInsecureSkipVerify: {
    kind: 'stricter',
    text: 'Certificates of the provider are always verified: name its authority in OIDC_CA_FILE.',
  },
  tlsCACertificatePath: { kind: 'carried', text: 'OIDC_CA_FILE, at the same path.' },
  tlsCACertificatePEM: {
    kind: 'todo',
    text: 'Write the certificate into a file and name it in OIDC_CA_FILE.',
  },
  clientAssertion: {
    kind: 'todo',
    text: 'Such assertions are not supported: write a client secret into secrets/oidc-client-secret, or use a key of your own (OIDC_CLIENT_PRIVATE_KEY).',
  },
  azureFederatedIdentity: {
    kind: 'todo',
    text: 'Federated identities are not supported: write a client secret into secrets/oidc-client-secret.',
  },
  name: { kind: 'dropped', text: 'A provider has no name here.' },
  displayName: { kind: 'dropped', text: 'There is no page that shows it.' },
  icon: { kind: 'dropped', text: 'There is no page that shows it.' },
  color: { kind: 'dropped', text: 'There is no page that shows it.' },
  allowedTailnet: { kind: 'dropped', text: 'See the provider.' },
  capabilityNames: { kind: 'dropped', text: 'See the provider.' },
}

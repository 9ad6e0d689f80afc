/** Codes about the service itself, the provider and Redis. */
export const SERVICE_CODES = {
  configuration: {
    why: 'The service does not start with this configuration.',
    remedy: 'Correct the setting; `vestibule check-config` says when all is well.',
  },
  examination_failed: {
    why: 'This part of the installation could not be examined.',
    remedy: 'Repeat the command; if it stays, examine the part by hand (docs/operations.md).',
  },
  internal_unreachable: {
    why: 'Where the internal listener does not answer, Traefik cannot check and probes fail.',
    remedy:
      'Start the service, correct INTERNAL_PORT and HOST, or name its address as Traefik uses it with --internal-url.',
  },
  internal_tls: {
    why: 'Traefik refuses the internal listener’s certificate and answers 500 to everybody, or asks without TLS.',
    remedy:
      'Set INTERNAL_TLS_CERT_FILE and INTERNAL_TLS_KEY_FILE as the running service has them, and renew with `vestibule certificates DIR --renew`.',
  },
  degraded: {
    why: 'The running service says itself that something is wrong.',
    remedy: 'Follow the message, and look the reason up under /health in docs/operations.md.',
  },
  service_version: {
    why: 'The running service is another version than this command, so that both may judge differently.',
    remedy: 'Run this command from the image of the service, or finish the update.',
  },
  node_version: {
    why: 'Node up to 26.12.0 writes out of bounds in its Brotli decoder (docs/security.md).',
    remedy: 'Run Node 26.13.1 or later, or the image, which has it.',
  },
  provider_unreachable: {
    why: 'Without the provider nobody can sign in, and sessions are not refreshed.',
    remedy: 'Correct OIDC_ISSUER_URL, OIDC_INTERNAL_URL, HTTPS_PROXY or OIDC_CA_FILE.',
  },
  provider_metadata: {
    why: 'The service uses no metadata that are not the issuer’s own, so nobody can sign in.',
    remedy: 'Set OIDC_ISSUER_URL to exactly the issuer of the provider.',
  },
  provider_endpoint: {
    why: 'The endpoint counts as absent, so that sign-outs or claims are incomplete.',
    remedy:
      'Correct the public address of the provider, or use https (OIDC_ISSUER_URL, OIDC_INTERNAL_URL).',
  },
  provider_keys: {
    why: 'Without keys no ID token can be verified, so nobody can sign in.',
    remedy:
      'Make jwks_uri of the provider reachable (OIDC_INTERNAL_URL, HTTPS_PROXY, OIDC_CA_FILE).',
  },
  provider_algorithms: {
    why: 'ID tokens are refused that are signed by an algorithm or key that is not accepted.',
    remedy:
      'Choose a signing algorithm such as RS256 or ES256 at the provider, and the same in OIDC_ID_TOKEN_SIGNED_RESPONSE_ALG where that is set.',
  },
  provider_pkce: {
    why: 'Every sign-in uses PKCE with S256, which this provider does not list.',
    remedy: 'Enable PKCE with S256 for the client at the provider of OIDC_ISSUER_URL.',
  },
  provider_auth_method: {
    why: 'The provider may refuse the way in which the client authenticates itself.',
    remedy: 'Set OIDC_TOKEN_ENDPOINT_AUTH_METHOD to a method that the provider offers.',
  },
  provider_clock: {
    why: 'Tokens count as expired or not yet valid when clocks differ, so sign-ins fail.',
    remedy: 'Synchronise the clocks of this machine and of the provider of OIDC_ISSUER_URL (NTP).',
  },
  redirect_uri: {
    why: 'The provider refuses to send people back to this host after the sign-in.',
    remedy: 'Register the redirect URI at the provider for OIDC_CLIENT_ID.',
  },
  client_unknown: {
    why: 'The provider does not know the client, so nobody can sign in.',
    remedy: 'Set OIDC_CLIENT_ID to the id under which the client is registered at OIDC_ISSUER_URL.',
  },
  provider_scope: {
    why: 'The provider refuses what the sign-in asks for, so nobody can sign in.',
    remedy:
      'Correct OIDC_SCOPES and OIDC_AUTHORIZATION_PARAMS, or permit them to the client at the provider.',
  },
  client_credentials: {
    why: 'The provider does not accept the client’s credentials, so each sign-in fails at its end.',
    remedy:
      'Set OIDC_CLIENT_SECRET, or OIDC_CLIENT_PRIVATE_KEY, to what is registered, and OIDC_TOKEN_ENDPOINT_AUTH_METHOD to its method.',
  },
  client_grant: {
    why: 'The client may not redeem codes, so each sign-in fails at its end.',
    remedy: 'Permit the grant authorization_code to the client OIDC_CLIENT_ID at the provider.',
  },
  redis_unreachable: {
    why: 'Without Redis nobody can sign in, and sign-outs do not reach other replicas.',
    remedy: 'Start Redis, and correct REDIS_ADDRESS and the network to it.',
  },
  redis_auth: {
    why: 'Redis refuses the service, so nobody can sign in.',
    remedy: 'Set REDIS_USERNAME and REDIS_PASSWORD to those of Redis.',
  },
  redis_tls: {
    why: 'The connection to Redis fails or would be open to eavesdroppers.',
    remedy: 'Set REDIS_ENABLE_TLS as the server does, and REDIS_CA_FILE to its authority.',
  },
  redis_rights: {
    why: 'Redis refuses a command that the service needs.',
    remedy: 'Give the user of REDIS_USERNAME the right, with ACL SETUSER.',
  },
  redis_eviction: {
    why: 'Redis deletes sessions and replay marks that are still needed when its memory is full.',
    remedy: 'Set maxmemory-policy noeviction in Redis.',
  },
  redis_full: {
    why: 'Redis takes no writes, so nobody can sign in.',
    remedy: 'Raise maxmemory in Redis, or end sessions with `vestibule sessions`.',
  },
  redis_replica: {
    why: 'A replica refuses writes, so nobody can sign in.',
    remedy: 'Set REDIS_ADDRESS to the primary, or use REDIS_SENTINEL_ADDRESSES.',
  },
  redis_sentinel: {
    why: 'A Sentinel keeps no sessions, so nobody can sign in.',
    remedy: 'Set REDIS_SENTINEL_ADDRESSES and REDIS_SENTINEL_MASTER instead of REDIS_ADDRESS.',
  },
  redis_cluster: {
    why: 'Most keys are on other nodes of the cluster, so most sign-ins fail.',
    remedy: 'Set REDIS_CLUSTER=true.',
  },
  redis_clock: {
    why: 'Sessions end too early or too late when clocks differ.',
    remedy: 'Synchronise the clocks of Redis (REDIS_ADDRESS) and of this machine (NTP).',
  },
  redis_version: {
    why: 'This version of Redis is older than what the service is tested with, or has a known advisory.',
    remedy: 'Upgrade Redis (REDIS_ADDRESS) to the latest release of its line.',
  },
  redis_state: {
    why: 'Redis is in a state in which it refuses commands.',
    remedy: 'Follow the message, and look at INFO and the log of the Redis in REDIS_ADDRESS.',
  },
} as const

/** Codes about the configuration of Traefik, as its files or its API show it. */
export const TRAEFIK_CODES = {
  traefik_unreadable: {
    why: 'The configuration of Traefik could not be examined.',
    remedy:
      'Name a readable YAML or TOML file or folder with --traefik-config, or the API with --traefik-api.',
  },
  traefik_version: {
    why: 'Traefik before 3.7.18 has faults by which requests get past its rules and the check (docs/security.md).',
    remedy: 'Upgrade Traefik to 3.7.18 or later.',
  },
  forward_auth_missing: {
    why: 'Without a forwardAuth middleware that asks Vestibule nothing is protected.',
    remedy: 'Add the middlewares that `vestibule render traefik` prints.',
  },
  identity_headers_missing: {
    why: 'A client can forge a header that authResponseHeaders does not list, and the app believes it.',
    remedy:
      'List every header in forwardAuth.authResponseHeaders that `vestibule render traefik` prints.',
  },
  outage_cookie_missing: {
    why: 'While Redis is away, people are asked to sign in again, because Traefik drops the outage cookie.',
    remedy:
      'List the cookie in forwardAuth.addAuthCookiesToResponse as `vestibule render traefik` prints it.',
  },
  trust_forward_header: {
    why: 'Without trustForwardHeader: true the client’s X-Forwarded-Prefix passes, and what trusted proxies say is lost.',
    remedy: 'Set forwardAuth.trustForwardHeader: true.',
  },
  location_header: {
    why: 'Traefik rewrites addresses of redirects, which are absolute already.',
    remedy: 'Set forwardAuth.preserveLocationHeader: true.',
  },
  response_size: {
    why: 'Traefik reads an answer of any size into memory, or answers 401 instead of Vestibule’s pages of up to 12 KiB.',
    remedy: 'Set forwardAuth.maxResponseBodySize: 16384.',
  },
  auth_request_headers: {
    why: 'A list hides aliases of identity headers, cookies or tokens from the check, but not from the app.',
    remedy: 'Remove forwardAuth.authRequestHeaders.',
  },
  forward_body: {
    why: 'The check reads no body: Traefik holds each in memory for nothing.',
    remedy: 'Remove forwardAuth.forwardBody and forwardAuth.preserveRequestMethod.',
  },
  auth_signin_url: {
    why: 'It replaces every 401 by a redirect, also for programs and scripts.',
    remedy: 'Remove forwardAuth.authSigninURL.',
  },
  check_address: {
    why: 'The check would be asked where browsers are served, which answers 404, or at a public name.',
    remedy:
      'Point forwardAuth.address to the internal listener: the Service or container, INTERNAL_PORT, /auth.',
  },
  check_tls: {
    why: 'Somebody between Traefik and Vestibule could let anybody in, or no check is answered at all.',
    remedy:
      'With INTERNAL_TLS_CERT_FILE set forwardAuth.address to https and forwardAuth.tls.ca to its authority, without insecureSkipVerify; without it use http.',
  },
  cookie_shared: {
    why: 'Two installations with one cookie name on one host end each other’s sessions.',
    remedy: 'Give one of them another COOKIE_NAME.',
  },
  strip_missing: {
    why: 'A client can send these headers to the app, which may believe another identity, host or path.',
    remedy:
      'Use the chain `protected`, whose vestibule-strip deletes them: see `vestibule render traefik`.',
  },
  sign_in_router_missing: {
    why: 'Nobody can sign in, because no router leads BASE_PATH to Vestibule.',
    remedy: 'Add the router for BASE_PATH that `vestibule render traefik` prints.',
  },
  sign_in_guarded: {
    why: 'The check answers 403 for the paths under BASE_PATH, so nobody can sign in.',
    remedy: 'Remove the middleware from the router of BASE_PATH.',
  },
  sign_in_priority: {
    why: 'The app’s router takes the requests for BASE_PATH, so nobody can sign in.',
    remedy:
      'Set priority: 100000 on the router of BASE_PATH, as `vestibule render traefik` prints it.',
  },
  router_unguarded: {
    why: 'What this router serves on a protected host passes no check.',
    remedy:
      'Add middlewares: [protected] to the router, and make public paths public by rules (PUBLIC_PATHS).',
  },
  forwarded_insecure: {
    why: 'Every client can claim another host, path, method or scheme, and get past the rules.',
    remedy:
      'Remove forwardedHeaders.insecure from the entry point; use forwardedHeaders.trustedIPs.',
  },
  alias_strategy: {
    why: 'Many apps read X_Auth_Request_User as X-Auth-Request-User, and Traefik passes both on.',
    remedy: 'Set http.aliasHeadersStrategy: delete on the entry point.',
  },
  encoded_characters: {
    why: 'Some servers read %5C or %00 in a path as a separator or as its end.',
    remedy:
      'Set http.encodedCharacters.allowEncodedBackSlash and allowEncodedNullCharacter to false on the entry point.',
  },
} as const

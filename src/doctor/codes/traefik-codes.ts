/** Codes about the configuration of Traefik, as its files or its API show it. */
export const TRAEFIK_CODES = {
  traefik_unreadable: {
    why: 'The configuration of Traefik could not be examined.',
    remedy:
      'Name readable YAML or TOML with --traefik-config; for templates and labels of containers name the API with --traefik-api.',
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
  forward_body: {
    why: 'The check reads no body: Traefik holds each in memory for nothing.',
    remedy: 'Remove forwardAuth.forwardBody and forwardAuth.preserveRequestMethod.',
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
  path_changed: {
    why: 'The check judges another path than the visitor asked for, so rules for paths do not hold.',
    remedy:
      'Put the middleware `protected` before those that change the path, such as stripPrefix, in the router.',
  },
  strip_order: {
    why: 'The app gets no identity, because the headers that the check has set are deleted again.',
    remedy:
      'Use the chain `protected`, in which vestibule-strip comes before the check: see `vestibule render traefik`.',
  },
  traefik_error: {
    why: 'Traefik does not serve a router with an error, so that its pages are answered with 404.',
    remedy:
      'Mend what the message names. A middleware of another provider or namespace needs its full name (protected@file, or with its namespace), and in Kubernetes allowCrossNamespace.',
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
  encoded_characters: {
    why: 'Some servers read %5C or %00 in a path as a separator or as its end.',
    remedy:
      'Set http.encodedCharacters.allowEncodedBackSlash and allowEncodedNullCharacter to false on the entry point.',
  },
} as const

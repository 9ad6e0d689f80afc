import type { PeerExample } from './example.ts'

export const oauth2Proxy: readonly PeerExample[] = [
  {
    peer: 'oauth2-proxy',
    page: 'Features: Endpoints, "Proxy (/)"',
    theirs: `
forwardAuth:
  address: https://oauth.example.com/?allowed_groups=admins,ops
`,
    ours: `
# forwardAuth: { address: http://vestibule:4181/auth?groups=admins,ops }
rules:
  - access: signed-in
`,
    rows: [
      { query: 'groups=admins,ops', who: { groups: ['ops', 'staff'] }, theirs: 'pass' },
      { query: 'groups=admins,ops', who: { groups: ['staff'] }, theirs: 'refuse' },
      { query: 'groups=admins,ops', who: {}, theirs: 'refuse' },
      { query: 'groups=admins,ops', theirs: 'sign in' },
      {
        query: 'groups=',
        who: { groups: ['staff'] },
        theirs: 'pass',
        ours: ['refuse', 'an empty demand is refused with 400 and not taken for none'],
      },
      {
        query: 'groups=admins&groups=staff',
        who: { groups: ['staff'] },
        theirs: 'pass',
        ours: ['refuse', 'a parameter that is there twice is refused with 400'],
      },
      {
        query: 'allowed_groups=admins',
        who: { groups: ['admins'] },
        theirs: 'pass',
        ours: [
          'refuse',
          'the parameter is called groups; one with an unknown name is refused with 400',
        ],
      },
    ],
  },
  {
    peer: 'oauth2-proxy',
    page: 'Configuration: Overview, "Config Options"',
    theirs: `
email_domains    = ["example.com"]
skip_auth_routes = ["GET=^/status$", "^/static/"]
trusted_ips      = ["192.0.2.0/24"]
`,
    ours: `
rules:
  - { paths: [/status], methods: [GET], access: public }
  - { paths: [/static/**], access: public }
  - { access: signed-in, emailDomains: [example.com] }
`,
    rows: [
      { url: 'https://app.example.com/status', theirs: 'pass' },
      {
        url: 'https://app.example.com/status',
        method: 'POST',
        theirs: 'pass',
        ours: [
          'sign in',
          "the visitor's method counts, and not that of the check, which is GET for all of Traefik's",
        ],
      },
      { url: 'https://app.example.com/static/app.js', theirs: 'pass' },
      {
        url: 'https://app.example.com/static',
        theirs: 'sign in',
        ours: ['pass', '/static/** is the folder as well'],
      },
      { who: { email: 'ann@example.com', email_verified: true }, theirs: 'pass' },
      { who: { email: 'ann@EXAMPLE.com', email_verified: true }, theirs: 'pass' },
      { who: { email: 'ann@sub.example.com', email_verified: true }, theirs: 'refuse' },
      { who: { email: 'ann@example.com', email_verified: false }, theirs: 'refuse' },
      {
        who: { email: 'ann@example.com' },
        theirs: 'pass',
        ours: [
          'refuse',
          'an address counts only where the provider says that it is verified, or with OIDC_TRUST_EMAIL',
        ],
      },
      {
        from: '192.0.2.7',
        theirs: 'pass',
        ours: ['sign in', 'no address stands in for a sign-in; networks only narrow'],
      },
    ],
  },
]

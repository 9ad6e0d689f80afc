import type { PeerExample } from './example.ts'

export const authentik: readonly PeerExample[] = [
  {
    peer: 'authentik',
    page: 'Providers: Proxy, "Unauthenticated paths"; Policies: Expression reference, ak_is_group_member',
    theirs: `
# Proxy provider, forward auth (single application), unauthenticated paths:
#   ^/public/.*
# Policy that is bound to the application:
return ak_is_group_member(request.user, name="test_group")
`,
    ours: `
# forwardAuth: { address: http://vestibule:4181/auth?policy=app }
# and a router for the public paths with the middleware of http://vestibule:4181/auth
policies:
  app: { groups: [test_group] }
rules:
  - { paths: [/public/**], access: public }
  - { access: signed-in, policy: app }
`,
    rows: [
      { url: 'https://app.example.com/public/a', theirs: 'pass' },
      {
        url: 'https://app.example.com/public/a',
        query: 'policy=app',
        theirs: 'pass',
        ours: ['sign in', 'a policy on the address always needs a sign-in'],
      },
      { query: 'policy=app', theirs: 'sign in' },
      { query: 'policy=app', who: { groups: ['test_group'] }, theirs: 'pass' },
      { query: 'policy=app', who: { groups: ['test_groups'] }, theirs: 'refuse' },
      { who: { groups: [] }, theirs: 'refuse' },
    ],
  },
  {
    peer: 'authentik',
    page: 'Policies: Expression reference, "Comparing IP addresses"; Allow only specific email domains',
    theirs: `
allowed_domains = ["example.org", "example.com"]
domain = request.user.email.split("@")[1] if request.user.email else None
is_inside = ak_client_ip in ip_network("192.0.2.0/24")
return domain in allowed_domains and (is_inside or not request.user.attributes.get("external"))
`,
    ours: `
rules:
  - access: signed-in
    allow:
      emailDomains: [example.org, example.com]
      any:
        - networks: [192.0.2.0/24]
        - claims: { external: [false] }
`,
    rows: [
      {
        who: { email: 'ann@example.org', email_verified: true, external: true },
        from: '192.0.2.7',
        theirs: 'pass',
      },
      {
        who: { email: 'ann@example.org', email_verified: true, external: true },
        from: '203.0.113.7',
        theirs: 'refuse',
      },
      {
        who: { email: 'ann@example.org', email_verified: true, external: false },
        from: '203.0.113.7',
        theirs: 'pass',
      },
      {
        who: { email: 'ann@example.org', email_verified: true },
        from: '203.0.113.7',
        theirs: 'pass',
        ours: [
          'refuse',
          'an attribute that nobody sent is unknown and not false; let the provider always send it',
        ],
      },
      {
        who: { email: 'ann@example.net', email_verified: true },
        from: '192.0.2.7',
        theirs: 'refuse',
      },
      {
        who: { email: 'ann@example.org', email_verified: false },
        from: '192.0.2.7',
        theirs: 'pass',
        ours: [
          'refuse',
          'authentik says email_verified: false of everybody unless its scope mapping is changed; or set OIDC_TRUST_EMAIL',
        ],
      },
    ],
  },
]

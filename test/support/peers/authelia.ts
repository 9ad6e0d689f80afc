import type { PeerExample } from './example.ts'

const second = { amr: ['pwd', 'otp'] }

export const authelia: readonly PeerExample[] = [
  {
    peer: 'Authelia',
    page: 'Configuration: Access Control, "Detailed example"',
    theirs: `
access_control:
  default_policy: deny
  rules:
    - { domain: public.example.com, policy: bypass }
    - { domain: '*.example.com', policy: bypass, methods: [OPTIONS] }
    - { domain: secure.example.com, policy: one_factor, networks: [192.0.2.0/24] }
    - { domain: [secure.example.com, private.example.com], policy: two_factor }
    - { domain: mx2.mail.example.com, subject: 'group:admins', policy: deny }
    - { domain: '*.example.com', subject: ['group:admins', 'group:moderators'], policy: two_factor }
    - { domain: dev.example.com, resources: ['^/groups/dev/.*$'], subject: 'group:dev', policy: two_factor }
`,
    ours: `
policies:
  second-factor: { claims: { amr: [mfa, otp, hwk] } }
rules:
  - { hosts: [public.example.com], access: public }
  - { hosts: ['*.example.com'], methods: [OPTIONS], access: public }
  - hosts: [secure.example.com]
    access: signed-in
    allow: { any: [{ networks: [192.0.2.0/24] }, { claims: { amr: [mfa, otp, hwk] } }] }
  - { hosts: [private.example.com], access: signed-in, policy: second-factor }
  - hosts: [mx2.mail.example.com]
    access: signed-in
    policy: second-factor
    allow: { groups: [moderators], none: [{ groups: [admins] }] }
  - hosts: [dev.example.com]
    paths: [/groups/dev/**]
    access: signed-in
    policy: second-factor
    groups: [dev, admins, moderators]
  - { hosts: ['*.example.com'], access: signed-in, policy: second-factor, groups: [admins, moderators] }
`,
    rows: [
      { url: 'https://public.example.com/a', theirs: 'pass' },
      { url: 'https://dev.example.com/a', method: 'OPTIONS', theirs: 'pass' },
      { url: 'https://secure.example.com/', theirs: 'sign in' },
      { url: 'https://secure.example.com/', who: {}, from: '192.0.2.7', theirs: 'pass' },
      { url: 'https://secure.example.com/', who: second, from: '203.0.113.7', theirs: 'pass' },
      {
        url: 'https://secure.example.com/',
        who: { amr: ['pwd'] },
        from: '203.0.113.7',
        theirs: 'sign in',
        ours: [
          'refuse',
          'there is no step-up: let the provider ask for the second factor at the sign-in',
        ],
      },
      {
        url: 'https://secure.example.com/',
        who: { amr: ['pwd'] },
        from: '192.0.2.7, 203.0.113.7',
        theirs: 'pass',
        ours: [
          'refuse',
          'the right-most address outside TRUSTED_PROXIES counts, not the first, which a client writes itself',
        ],
      },
      { url: 'https://private.example.com/', who: second, theirs: 'pass' },
      {
        url: 'https://mx2.mail.example.com/',
        who: { ...second, groups: ['admins', 'moderators'] },
        theirs: 'refuse',
      },
      {
        url: 'https://mx2.mail.example.com/',
        who: { ...second, groups: ['moderators'] },
        theirs: 'pass',
      },
      {
        url: 'https://dev.example.com/groups/dev/x',
        who: { ...second, groups: ['dev'] },
        theirs: 'pass',
      },
      { url: 'https://dev.example.com/x', who: { ...second, groups: ['dev'] }, theirs: 'refuse' },
      { url: 'https://wiki.example.com/', who: { ...second, groups: ['admins'] }, theirs: 'pass' },
      { url: 'https://wiki.example.com/', who: { ...second, groups: ['staff'] }, theirs: 'refuse' },
    ],
  },
  {
    peer: 'Authelia',
    page: 'Configuration: Access Control, "subject" and "resources"',
    theirs: `
access_control:
  rules:
    - { domain: app.example.com, policy: bypass, resources: ['^/api([/?].*)?$'] }
    - domain: app.example.com
      policy: one_factor
      subject: ['user:john', ['group:admin', 'group:app-name'], 'group:super-admin']
`,
    ours: `
rules:
  - { hosts: [app.example.com], paths: [/api/**], access: public }
  - hosts: [app.example.com]
    access: signed-in
    allow:
      any:
        - claims: { preferred_username: [john] }
        - all: [{ groups: [admin] }, { groups: [app-name] }]
        - groups: [super-admin]
`,
    rows: [
      { url: 'https://app.example.com/api', theirs: 'pass' },
      { url: 'https://app.example.com/api/x', theirs: 'pass' },
      { url: 'https://app.example.com/apis', theirs: 'sign in' },
      { url: 'https://app.example.com/API/x', theirs: 'sign in' },
      {
        url: 'https://app.example.com/api/..%2Fadmin',
        theirs: 'pass',
        ours: ['refuse', 'a hidden dot segment is refused with 400, whatever the rules'],
      },
      { who: { preferred_username: 'john' }, theirs: 'pass' },
      { who: { preferred_username: 'fred' }, theirs: 'refuse' },
      { who: { groups: ['admin'] }, theirs: 'refuse' },
      { who: { groups: ['admin', 'app-name'] }, theirs: 'pass' },
      { who: { groups: ['super-admin'] }, theirs: 'pass' },
      { url: 'https://other.example.com/', who: { groups: ['super-admin'] }, theirs: 'refuse' },
    ],
  },
]

import type { PeerExample } from './example.ts'

const google = { iss: 'https://accounts.google.com', hd: 'example.com' }

export const modAuthOpenidc: readonly PeerExample[] = [
  {
    peer: 'mod_auth_openidc',
    page: 'README, OpenID Connect SSO with Google+ Sign-In; wiki, Authorization',
    theirs: `
<Location />
  AuthType openid-connect
  <RequireAll>
    Require claim iss:https://accounts.google.com
    Require claim hd:example.com
  </RequireAll>
</Location>
`,
    ours: `
rules:
  - access: signed-in
    allow:
      claims: { iss: ['https://accounts.google.com'], hd: [example.com] }
`,
    rows: [
      { theirs: 'sign in' },
      { who: google, theirs: 'pass' },
      { who: { ...google, hd: 'example.net' }, theirs: 'refuse' },
      { who: { ...google, hd: 'EXAMPLE.com' }, theirs: 'refuse' },
      { who: { iss: google.iss }, theirs: 'refuse' },
      { who: { ...google, hd: ['x', 'example.com'] }, theirs: 'pass' },
    ],
  },
  {
    peer: 'mod_auth_openidc',
    page: 'wiki, Authorization: arrays, nested claims and RequireAny; Apache, mod_authz_core: Require not',
    theirs: `
<Location /admin>
  <RequireAll>
    <RequireAny>
      Require claim realm_access.roles:admin
      Require claim groups:ops
    </RequireAny>
    Require not claim suspended:true
  </RequireAll>
</Location>
<Location />
  Require valid-user
</Location>
`,
    ours: `
rules:
  - paths: [/admin/**]
    access: signed-in
    allow:
      any:
        - claims: { realm_access.roles: [admin] }
        - groups: [ops]
      none:
        - claims: { suspended: [true] }
  - access: signed-in
`,
    rows: [
      { who: {}, theirs: 'pass' },
      {
        url: 'https://app.example.com/admin',
        who: { realm_access: { roles: ['user', 'admin'] }, suspended: false },
        theirs: 'pass',
      },
      {
        url: 'https://app.example.com/admin/x',
        who: { groups: ['ops'], suspended: false },
        theirs: 'pass',
      },
      {
        url: 'https://app.example.com/admin/x',
        who: { groups: ['dev'], suspended: false },
        theirs: 'refuse',
      },
      {
        url: 'https://app.example.com/admin/x',
        who: { groups: ['ops'], suspended: true },
        theirs: 'refuse',
      },
      {
        url: 'https://app.example.com/admin/x',
        who: { groups: ['ops'] },
        theirs: 'pass',
        ours: ['refuse', 'none over a claim that nobody sent is unknown, and doubt denies'],
      },
      { url: 'https://app.example.com/administration', who: {}, theirs: 'pass' },
      {
        url: 'https://app.example.com/ADMIN/x',
        who: {},
        theirs: 'pass',
        ours: ['refuse', 'a restriction holds in upper and lower case'],
      },
    ],
  },
]

import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { base, problemRows, problemsOf, useFolder } from '../support/configuration.ts'

const { write } = useFolder()
const alone = { ...base, ALLOW_ANY_USER: '' }
const ADMINS = 'CN=Admins,OU=Groups,DC=acme,DC=test'
const STAFF = 'cn=staff,ou=groups,dc=acme,dc=test'

test.for([
  [ADMINS, [ADMINS]],
  [STAFF, [STAFF]],
  [` CN = Admins , OU = Groups `, ['CN = Admins , OU = Groups']],
  ['uid=ada,ou=people', ['uid=ada,ou=people']],
  ['CN=Acme\\, Inc', ['CN=Acme\\, Inc']],
  ['CN=Acme\\, Inc,O=acme', ['CN=Acme\\, Inc,O=acme']],
  ['CN="Acme, Inc",O=acme', ['CN="Acme, Inc",O=acme']],
  ['2.5.4.3=Admins,DC=test', ['2.5.4.3=Admins,DC=test']],
  [`staff,${ADMINS}`, ['staff', ADMINS]],
  [`${ADMINS},${STAFF}`, [ADMINS, STAFF]],
  [`${ADMINS}\r\n${STAFF}\r\n`, [ADMINS, STAFF]],
  [ADMINS.replaceAll(',', ',\n'), [ADMINS]],
  [ADMINS.replaceAll(',', '\r\n,'), [ADMINS]],
  ['CN=Acme, Inc', ['CN=Acme', 'Inc']],
  ['domainComponent=acme,domainComponent=test', ['domainComponent=acme,domainComponent=test']],
] as const)('ALLOWED_GROUPS=%j is refused with the array to write', ([text, entries]) => {
  const [problem, ...others] = problemsOf({ ...alone, ALLOWED_GROUPS: text })
  expect(others).toEqual([])
  expect(problem).toMatch(/^ALLOWED_GROUPS: looks like a distinguished name/)
  expect(problem).toContain(`write a JSON array such as ${JSON.stringify(entries)}. `)
  const { settings } = loadConfig({ ...alone, ALLOWED_GROUPS: JSON.stringify(entries) })
  expect(settings.ALLOWED_GROUPS).toEqual(entries)
})

test.for([
  ['staff,admins', ['staff', 'admins']],
  ['CN=Admins', ['CN=Admins']],
  ['CN=Admins\nCN=Staff', ['CN=Admins', 'CN=Staff']],
  ['team=a,team=b', ['team=a', 'team=b']],
  ['CN=Admins,', ['CN=Admins']],
  ['5" disks,6" disks', ['5" disks', '6" disks']],
  ['"a","b"', ['"a"', '"b"']],
  ['ACME\\a,ACME\\b', ['ACME\\a', 'ACME\\b']],
  ['[prod] a,b', ['[prod] a', 'b']],
  ['[]', []],
] as const)('ALLOWED_GROUPS=%j are the groups %j', ([text, entries]) => {
  const given = { ...base, ALLOW_ANY_USER: '', PUBLIC_PATHS: '/a', ALLOWED_GROUPS: text }
  expect(loadConfig(given).settings.ALLOWED_GROUPS).toEqual(entries)
})

test.for([
  ['PROTECTED_HOSTS', ['a.test', '*.b.test']],
  ['PUBLIC_PATHS', ['/a,b/**', '/c']],
  ['ALLOWED_EMAILS', ['ada@example.com', 'bob@example.com']],
  ['ALLOWED_EMAIL_DOMAINS', ['example.com']],
  ['ALLOWED_GROUPS', ['Sales, EMEA', 'staff', ADMINS]],
  ['TRUSTED_PROXIES', ['10.0.0.0/8', '::1']],
  ['IDENTITY_HEADERS', ['Remote-User=sub']],
  ['REDIS_SENTINEL_ADDRESSES', ['[::1]:26379', 'b:1']],
  ['OIDC_AUTHORIZATION_PARAMS', ['acr_values=a,b']],
] as const)('%s is read from a JSON array, and from a file with one', async ([name, entries]) => {
  const json = JSON.stringify(entries, null, 1)
  const admitted = { ...base, ALLOW_ANY_USER: '', ALLOWED_GROUPS: 'a' }
  const path = await write(`${json}\n`)
  const others = { [name]: undefined, [`${name}_FILE`]: path }
  expect(loadConfig({ ...admitted, [name]: json }).settings[name]).toEqual(entries)
  expect(loadConfig({ ...admitted, ...others }).settings[name]).toEqual(entries)
})

test.for([
  [`${ADMINS}\r\n${STAFF}\nstaff\n`, [ADMINS, STAFF, 'staff']],
  ['a, b\nc\n', ['a', 'b', 'c']],
] as const)('a file of groups %j holds %j', async ([text, entries]) => {
  const { settings } = loadConfig({ ...alone, ALLOWED_GROUPS_FILE: await write(text) })
  expect(settings.ALLOWED_GROUPS).toEqual(entries)
})

test.for([
  ['"Sales, EMEA",staff', '["Sales, EMEA","staff"]'],
  ['staff, "Sales, EMEA"', '["staff","Sales, EMEA"]'],
  ['Sales\\, EMEA', '["Sales, EMEA"]'],
] as const)('ALLOWED_GROUPS=%j is refused with %s', ([text, array]) => {
  const [problem] = problemsOf({ ...alone, ALLOWED_GROUPS: text })
  expect(problem).toContain(
    `cut a name into several entries: write a JSON array such as ${array}. `,
  )
})

test.for(problemRows`
  ["a",
  ^ALLOWED_GROUPS: is not a JSON array of texts such as \["a, b","c"\]\.
  [a, b]
  ^ALLOWED_GROUPS: is not a JSON array
  ["a" "b"]
  ^ALLOWED_GROUPS: is not a JSON array
  ["a", 7]
  ^ALLOWED_GROUPS: is not a JSON array
  [["a"]]
  ^ALLOWED_GROUPS: is not a JSON array
  ["a", " "]
  ^ALLOWED_GROUPS: has an empty text in its JSON array
`)('ALLOWED_GROUPS=%s is the problem %s', ([text, problem]) => {
  const problems = problemsOf({ ...alone, PUBLIC_PATHS: '/a', ALLOWED_GROUPS: text })
  expect(problems).toEqual([expect.stringMatching(problem)])
})

test('a line of a file with more than a name, and a text in YAML, are refused likewise', async () => {
  const told =
    /looks like a distinguished name .*: write a JSON array such as \["staff","CN=A,OU=B"\]/
  for (const place of [
    { ALLOWED_GROUPS_FILE: await write(`${STAFF}\nstaff,CN=A,OU=B\n`) },
    { ALLOWED_GROUPS_FILE: await write('staff,\nCN=A,\nOU=B') },
    { VESTIBULE_CONFIG: await write('allowedGroups: "staff,CN=A,OU=B"\n') },
  ]) {
    const [problem] = problemsOf({ ...alone, PUBLIC_PATHS: '/a', ...place })
    expect(problem).toMatch(told)
  }
})

test.for([
  ['[CN=Admins,OU=Groups,DC=acme,DC=test]', [ADMINS]],
  ['[CN=Admins, CN=Users, DC=acme]', ['CN=Admins,CN=Users,DC=acme']],
  ['[staff, uid=ada, ou=people]', ['staff', 'uid=ada,ou=people']],
] as const)('a YAML list %s without quotes is refused with %j', async ([list, entries]) => {
  for (const yaml of [
    `allowedGroups: ${list}`,
    `rules: [{ access: signed-in, groups: ${list} }]\nallowedEmails: [a@b.test]`,
  ]) {
    const problems = problemsOf({ ...alone, VESTIBULE_CONFIG: await write(yaml) })
    expect(problems).toEqual([expect.stringContaining(`as a whole: ${JSON.stringify(entries)}`)])
  }
})

test('groups in YAML that are each a name of their own are taken', async () => {
  const VESTIBULE_CONFIG = await write(`allowedGroups: ["${ADMINS}", CN=a, CN=b, staff]`)
  const { settings } = loadConfig({ ...alone, VESTIBULE_CONFIG })
  expect(settings.ALLOWED_GROUPS).toEqual([ADMINS, 'CN=a', 'CN=b', 'staff'])
})

import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { writeRules } from '../support/rules-file.ts'
import { startVestibule } from '../support/vestibule.ts'

const rules = prepared(() =>
  writeRules([
    { paths: ['/read/**'], methods: ['GET'], access: 'public' },
    { paths: ['/drop/**'], methods: ['DELETE'], access: 'deny' },
    { paths: ['/drop/**'], access: 'public' },
  ]),
)
const vestibule = prepared(() => startVestibule({ VESTIBULE_CONFIG: rules().path }))

const writing = 'POST PUT PATCH DELETE OPTIONS QUERY PROPFIND MKCOL COPY MOVE LOCK REPORT'.split(
  ' ',
)

describe('A07 X-Forwarded-Method spoofing', () => {
  test('GET passes where GET is public, and DELETE does not where it is denied', async () => {
    expect((await vestibule().check({ method: 'GET', uri: '/read/a' })).status).toBe(200)
    expect((await vestibule().check({ method: 'GET', uri: '/drop/a' })).status).toBe(200)
    expectRefusal(await vestibule().check({ method: 'DELETE', uri: '/drop/a' }), 403)
  })

  test.for(writing)('%s is not GET, whatever our own request line says', async (method) => {
    const visit = await vestibule().check({ method, uri: '/read/a' })
    if (method === 'POST') {
      expectLogin(visit, 'https://app.example.com/', [], 303)
    } else {
      expectRefusal(visit, 401)
    }
  })

  test.for([
    'get',
    'Get',
    'GEt',
    'delete',
    'GET,POST',
    'GET, POST',
    'GET POST',
    'FOO',
    'FOO BAR',
    'GETGET',
    'GET/',
    'GET?',
    'GET;DELETE',
    'GET\tDELETE',
    'G\xcbT',
    'GET0',
    '0',
    '*',
    '-',
    'A'.repeat(17),
    'A'.repeat(5000),
    '__PROTO__',
    'CONSTRUCTOR',
    'toString',
    'PRI',
    'M-SEARCH',
  ])('is no method: %s', async (method) => {
    for (const uri of ['/', '/read/a', '/drop/a']) {
      expectRefusal(await vestibule().check({ method, uri }), 400, ['GETGET', 'FOO BAR', 'PROTO'])
    }
  })

  test.for([
    ['empty', ''],
    ['missing', undefined],
  ] as const)('a method that is %s is not GET', async ([, method]) => {
    const headers = { 'X-Forwarded-Method': method }
    expectRefusal(await vestibule().check({ uri: '/read/a' }, headers), 400)
  })

  test('no second header names the method', async () => {
    const headers = { 'X-Original-Method': 'GET', 'X-Forwarded-Verb': 'GET', Method: 'GET' }
    expectRefusal(await vestibule().check({ method: 'DELETE', uri: '/drop/a' }, headers), 403)
    expectRefusal(await vestibule().check({ method: 'DELETE', uri: '/read/a' }, headers), 401)
  })
})

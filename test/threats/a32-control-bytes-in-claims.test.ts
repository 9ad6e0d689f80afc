import { expect, test } from 'vitest'
import { demoUsers } from '../../stand-ins/provider/provider.ts'
import { describeBrowsers } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { givenTo } from '../support/protected-app.ts'
import { givenToApp, startProxiedHosts } from '../support/proxied-browser.ts'
import { APP } from '../support/relying-party.ts'

/** Name that the provider sends, and the one that the app may get. */
const names: readonly (readonly [string, string, string])[] = [
  ['CR and LF', 'a\r\nX-Admin: 1', 'aX-Admin: 1'],
  ['an empty line and a second answer', 'a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', 'aHTTP/1.1 200 OK'],
  ['NUL', 'a\0b', 'ab'],
  ['an emoji', 'Ada 🦊', 'Ada 🦊'],
  ['letters that end in the bytes of CR and LF', 'čĊ嘊嘍', 'čĊ嘊嘍'],
  ['a lone high surrogate', 'a\ud800b', 'a\ufffdb'],
]
const users = names.map(([sub, name]) => ({ sub, name }))
const hosts = prepared(() => startProxiedHosts({ provider: { users: [...demoUsers, ...users] } }))

describeBrowsers('A32 control bytes in claims', hosts, (openBrowser) => {
  test.for(names)('the app gets one visible name: %s', async ([sub, , shown]) => {
    const browser = openBrowser()
    await browser.signIn(`${APP}/`, sub)
    const visit = await browser.fetch(`${APP}/headers`, { headers: { 'X-Admin': 'mine' } })
    const app = givenToApp(visit)
    expect(givenTo(app, 'X-Auth-Request-Name')).toEqual([shown])
    expect(givenTo(app, 'X-Auth-Request-User')).toEqual([sub])
    expect(givenTo(app, 'X-Admin')).toEqual(['mine'])
  })
})

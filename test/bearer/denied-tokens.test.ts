import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createDeniedTokens, type DeniedTokensOptions } from '../../src/bearer/denied-tokens.ts'
import { digestOfParts } from '../../src/crypto/digest.ts'
import { AuthError } from '../../src/errors.ts'
import { type DenyList, MAX_DENIED_TOKENS } from '../../src/store/deny-list.ts'
import { createMemoryDenyList } from '../../src/store/memory/deny-list.ts'

const ISSUER = 'https://id.example.com'
const MINUTE_MS = 60_000
const RELOAD_MS = 5000

let nowMs = 0
const elapse = async (ms: number): Promise<void> => {
  nowMs += ms
  await vi.advanceTimersByTimeAsync(ms)
}
beforeEach(() => {
  nowMs = 1_000_000
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

const start = async (changes: Partial<DeniedTokensOptions> = {}) => {
  let unread = 0
  let doubts = 0
  const deniedTokens = createDeniedTokens({
    denyList: createMemoryDenyList(),
    isUsed: () => true,
    firstAttempt: Promise.resolve(),
    isAvailable: () => true,
    onUnread: () => void unread++,
    onDoubt: () => void doubts++,
    ...changes,
  })
  await deniedTokens.initialLoad
  return {
    includes: (issuer: string, jti: string) => deniedTokens.includes(issuer, jti),
    deny: (issuer: string, jti: string, ttlMs: number) => deniedTokens.deny(issuer, jti, ttlMs),
    receiveDenied: (token: string, ttlMs: number) => deniedTokens.receiveDenied(token, ttlMs),
    reload: () => deniedTokens.reload(),
    list: () => deniedTokens.list(),
    initialLoad: () => deniedTokens.initialLoad,
    close: () => deniedTokens.close(),
    unread: () => unread,
    doubts: () => doubts,
  }
}

const away = async (): Promise<never> => {
  throw new AuthError('store_unavailable', 'away')
}

describe('the tokens that a replica knows to be denied', () => {
  test('are those of one issuer and one name', async () => {
    const { includes, deny, doubts } = await start()
    expect(includes(ISSUER, 'a')).toBe(false)
    await deny(ISSUER, 'a', MINUTE_MS)
    expect(includes(ISSUER, 'a')).toBe(true)
    for (const [issuer, jti] of [
      [ISSUER, 'b'],
      [`${ISSUER}/`, 'a'],
      ['', `${ISSUER}a`],
      [`${ISSUER}a`, ''],
    ] as const)
      expect(includes(issuer, jti)).toBe(false)
    expect(doubts()).toBe(0)
  })

  test('count until they end, and are then forgotten', async () => {
    const { includes, deny, list } = await start()
    await deny(ISSUER, 'a', MINUTE_MS)
    await elapse(MINUTE_MS - 1)
    expect(includes(ISSUER, 'a')).toBe(true)
    await elapse(1)
    expect(includes(ISSUER, 'a')).toBe(false)
    await elapse(RELOAD_MS)
    expect(await list()).toEqual([])
  })

  test('are the same at a replica that starts later', async () => {
    const denyList = createMemoryDenyList()
    const first = await start({ denyList })
    await first.deny(ISSUER, 'a', MINUTE_MS)
    await elapse(1000)
    const second = await start({ denyList })
    expect([second.includes(ISSUER, 'a'), second.unread()]).toEqual([true, 0])
    await elapse(MINUTE_MS - 1000)
    expect(second.includes(ISSUER, 'a')).toBe(false)
  })

  test('are more as soon as another replica says so, whose word shortens nothing', async () => {
    const { includes, receiveDenied } = await start()
    receiveDenied(digestOfParts(ISSUER, 'a'), MINUTE_MS)
    expect(includes(ISSUER, 'a')).toBe(true)
    receiveDenied(digestOfParts(ISSUER, 'a'), 1)
    await elapse(1000)
    expect(includes(ISSUER, 'a')).toBe(true)
  })

  test('are more within five seconds where nobody was heard', async () => {
    const denyList = createMemoryDenyList()
    const [first, second] = [await start({ denyList }), await start({ denyList })]
    await first.deny(ISSUER, 'a', MINUTE_MS)
    await elapse(RELOAD_MS - 1)
    expect(second.includes(ISSUER, 'a')).toBe(false)
    await elapse(1)
    expect(second.includes(ISSUER, 'a')).toBe(true)
  })

  test('are not asked for where no rule accepts tokens, nor while nobody could answer', async () => {
    const denyList = createMemoryDenyList()
    const looked = vi.spyOn(denyList, 'list')
    const never = new Promise<void>(() => undefined)
    const unused = await start({ denyList, isUsed: () => false, firstAttempt: never })
    await unused.reload()
    await start({ denyList, isAvailable: () => false })
    looked.mockClear()
    await elapse(10 * RELOAD_MS)
    expect(looked).not.toHaveBeenCalled()
  })

  test('are read before the first token counts where a rule begins to accept tokens, and from then on', async () => {
    const denyList = createMemoryDenyList()
    const other = await start({ denyList })
    await other.deny(ISSUER, 'a', MINUTE_MS)
    let isUsed = false
    const late = await start({ denyList, isUsed: () => isUsed })
    isUsed = true
    await late.initialLoad()
    expect([late.includes(ISSUER, 'a'), late.doubts()]).toEqual([true, 0])
    isUsed = false
    await other.deny(ISSUER, 'b', MINUTE_MS)
    await elapse(RELOAD_MS)
    expect(late.includes(ISSUER, 'b')).toBe(true)
  })

  test('are not asked for any more at the end', async () => {
    const denyList = createMemoryDenyList()
    const { close } = await start({ denyList })
    const unused = await start({ denyList, isUsed: () => false })
    for (const end of [close, unused.close]) end()
    const looked = vi.spyOn(denyList, 'list')
    await elapse(10 * RELOAD_MS)
    expect(looked).not.toHaveBeenCalled()
  })

  test('are denied again where they were lost, but for what is about to end', async () => {
    let denyList = createMemoryDenyList()
    const proxy: DenyList = { add: (...args) => denyList.add(...args), list: () => denyList.list() }
    const { deny, reload } = await start({ denyList: proxy })
    await deny(ISSUER, 'a', MINUTE_MS)
    await deny(ISSUER, 'b', MINUTE_MS + RELOAD_MS)
    await elapse(MINUTE_MS - RELOAD_MS)
    denyList = createMemoryDenyList()
    await reload()
    expect(await denyList.list()).toEqual([
      { token: digestOfParts(ISSUER, 'b'), leftMs: 2 * RELOAD_MS },
    ])
  })

  test('stay as they are while nobody can be asked, and whoever passes then is counted', async () => {
    const denyList = createMemoryDenyList()
    const { includes, deny, doubts } = await start({ denyList })
    await deny(ISSUER, 'a', MINUTE_MS)
    vi.spyOn(denyList, 'list').mockImplementation(away)
    await elapse(2 * RELOAD_MS)
    expect([includes(ISSUER, 'b'), doubts()]).toEqual([false, 0])
    await elapse(1)
    expect([includes(ISSUER, 'b'), includes(ISSUER, 'a'), doubts()]).toEqual([false, true, 1])
  })

  test('are unknown where the first look fails, which is said once', async () => {
    const { includes, unread, doubts } = await start({ denyList: { add: away, list: away } })
    await elapse(3 * RELOAD_MS)
    expect([unread(), includes(ISSUER, 'a'), doubts()]).toEqual([1, false, 1])
  })

  test('are waited for at the start, but for a second at most', async () => {
    const { unread } = await start({ firstAttempt: new Promise(() => undefined) })
    expect(unread()).toBe(1)
  })
})

describe('denying a token', () => {
  test('that the others cannot be told of fails, and nothing has changed', async () => {
    const denyList = createMemoryDenyList()
    vi.spyOn(denyList, 'add').mockImplementation(away)
    const { includes, deny } = await start({ denyList })
    await expect(deny(ISSUER, 'a', MINUTE_MS)).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(includes(ISSUER, 'a')).toBe(false)
  })

  test('fails where there are too many, until some have ended', async () => {
    const { includes, deny, receiveDenied } = await start()
    for (let count = 1; count < MAX_DENIED_TOKENS; count++) receiveDenied(`${count}`, MINUTE_MS)
    await deny(ISSUER, 'a', 2 * MINUTE_MS)
    await expect(deny(ISSUER, 'b', MINUTE_MS)).rejects.toMatchObject({ code: 'store_unavailable' })
    receiveDenied(digestOfParts(ISSUER, 'b'), MINUTE_MS)
    receiveDenied(digestOfParts(ISSUER, 'a'), 2 * MINUTE_MS)
    expect([includes(ISSUER, 'a'), includes(ISSUER, 'b')]).toEqual([true, false])
    nowMs += MINUTE_MS
    await deny(ISSUER, 'b', MINUTE_MS)
    expect([includes(ISSUER, 'a'), includes(ISSUER, 'b')]).toEqual([true, true])
  })
})

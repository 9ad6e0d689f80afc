import fc from 'fast-check'
import type { RunningVestibule } from '../vestibule.ts'
import { askedRequests } from './asked-requests.ts'
import { expectedAnswers } from './expected-answer.ts'
import { createRawClient } from './raw-client.ts'
import { fits, plainAnswer, type ReceivedAnswer } from './received-answer.ts'
import { simpleRequests } from './simple-requests.ts'
import { createStreamClient, overHttp2 } from './stream-client.ts'
import type { SentRequest, World } from './world.ts'

/** Requests of one run, which are asked one after the other and then all again. */
const AT_ONCE = 32
const TRIES = 5

/** Requests of one test, the same at each run. */
export interface Sample {
  readonly count: number
  readonly seed: number
  /** Whether the requests with one odd thing at a time are asked as well. */
  readonly asksSimple: boolean
}

/** Replica with all that its answers depend on. */
export interface Modelled {
  readonly replica: Pick<RunningVestibule, 'internalPort'>
  readonly world: World
  readonly isHttp2?: boolean
}

/**
 * Asks a replica simple requests and this many generated ones, each twice, so that the second answer may come from memory. Both have to
 * be what the model says, and the same but for the time. A failure names the seed and the smallest request.
 */
export async function expectModelled(
  { replica: { internalPort }, world, isHttp2 = false }: Modelled,
  { count, seed, asksSimple }: Sample,
): Promise<void> {
  await using client = isHttp2
    ? await createStreamClient(internalPort)
    : createRawClient(internalPort)
  const asked = askedRequests(world)
  const requests = fc.array(isHttp2 ? asked.map(overHttp2) : asked, {
    minLength: 1,
    maxLength: 2 * AT_ONCE,
    size: 'max',
  })
  let [askedInAll, askedAgain] = [0, 0]
  /** Asks again where a busy machine let a read of Redis take too long. */
  const askWithPatience = async (sent: readonly SentRequest[]) => {
    askedInAll += sent.length
    const answers = [...(await client.ask(sent))]
    for (let tries = 0; tries < TRIES && !world.isStoreAway; tries++) {
      for (const [at, { status }] of answers.entries()) {
        if (status !== 503) continue
        askedAgain += 1
        ;[answers[at]] = (await client.ask(sent.slice(at, at + 1))) as [ReceivedAnswer]
      }
    }
    return answers
  }
  const askTwice = async (sent: readonly SentRequest[]): Promise<void> => {
    const first = await askWithPatience(sent)
    const second = await askWithPatience(sent)
    sent.forEach((each, at) => {
      const answers = [first[at], second[at]] as [ReceivedAnswer, ReceivedAnswer]
      expectAnswered(each, answers, world)
    })
  }
  const simple = asksSimple ? simpleRequests(world) : []
  await askTwice(isHttp2 ? simple.map(overHttp2) : simple)
  const property = fc.asyncProperty(requests, askTwice)
  await fc.assert(property, { numRuns: Math.ceil(count / AT_ONCE), seed })
  if (askedAgain > askedInAll / 10) throw new Error(`503 came ${askedAgain} times in ${askedInAll}`)
}

function expectAnswered(
  sent: SentRequest,
  [first, second]: readonly [ReceivedAnswer, ReceivedAnswer],
  world: World,
): void {
  const expected = expectedAnswers(sent, world)
  const received = plainAnswer(first)
  const isAsSaid = expected.some((each) => fits(each, received))
  if (isAsSaid && lasting(first) === lasting(second)) return
  const why = isAsSaid
    ? { first, second }
    : {
        received,
        expected: [...new Map(expected.map((each) => [JSON.stringify(each), each])).values()],
      }
  const { method, target, version, headers, ...rest } = sent
  const lines = [`${method} ${target} ${version}`, ...headers.map((each) => each.join(': '))]
  throw new Error([...lines, JSON.stringify(rest), JSON.stringify(why, undefined, 1)].join('\n'))
}

/** Returns all of an answer that must not change when the same is asked again. */
function lasting({ status, headers, body }: ReceivedAnswer): string {
  const kept = headers.filter(([name]) => name.toLowerCase() !== 'date')
  return JSON.stringify({ status, kept, body }).replace(
    /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}|_outage=v1\.[^;]*/g,
    '',
  )
}

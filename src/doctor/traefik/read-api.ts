import { isRecord, parseJson } from '../../core/json.ts'
import { type Ask, failureCodeOf } from '../ask.ts'
import {
  createRouter,
  type Options,
  optionAt,
  plainName,
  type TraefikConfiguration,
} from './configuration.ts'

/** Bound of one answer; a router takes about 0.5 KiB. */
const MAX_BYTES = 8 * 1024 * 1024
const MAX_PAGES = 100

/** Reads the configuration in force from Traefik's API, such as `http://localhost:8080/api`. */
export async function readTraefikApi(base: string, ask: Ask): Promise<TraefikConfiguration> {
  const get = async (path: string) => {
    const answer = await ask(`${base.replace(/\/$/, '')}${path}`, { maxBytes: MAX_BYTES }).catch(
      (cause: unknown) => {
        throw new Error(`${path} failed with ${failureCodeOf(cause)}`, { cause })
      },
    )
    if (answer.status !== 200) throw new Error(`${path} was answered with ${answer.status}`)
    const value = parseJson(answer.body)
    if (value === undefined) throw new Error(`${path} was answered with no JSON`)
    return { value, next: answer.headers['x-next-page'] }
  }
  const list = async (path: string) => {
    const found: (readonly [string, Options])[] = []
    for (let page = 1; page <= MAX_PAGES; page++) {
      const { value, next } = await get(`${path}?per_page=1000&page=${page}`)
      found.push(...named(value))
      // Traefik names page 1 as the next one of the last.
      if (next !== `${page + 1}`) break
    }
    return found
  }
  const { value: version } = await get('/version')
  const text = isRecord(version) ? version['Version'] : undefined
  const routers = await list('/http/routers')
  return {
    ...(typeof text === 'string' && { version: text }),
    entryPoints: new Map((await list('/entrypoints')).map(withRefusals)),
    middlewares: new Map(await list('/http/middlewares')),
    routers: routers.map(([name, options]) => createRouter(name, options)),
    unread: [],
  }
}

/** Adds the refusals of encoded characters, because the API leaves out what is false. */
function withRefusals([name, options]: readonly [string, Options]): readonly [string, Options] {
  const { http } = options
  const allowed = optionAt(http, 'encodedCharacters')
  const encodedCharacters = {
    allowEncodedBackSlash: false,
    allowEncodedNullCharacter: false,
    ...(isRecord(allowed) && allowed),
  }
  return [name, { ...options, http: { ...(isRecord(http) && http), encodedCharacters } }]
}

function named(value: unknown): readonly (readonly [string, Options])[] {
  const members: readonly unknown[] = Array.isArray(value) ? value : []
  return members.filter(isRecord).map((each) => [plainName(String(each['name'])), each])
}

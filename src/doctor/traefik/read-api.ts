import { isRecord, parseJson } from '../../core/json.ts'
import type { Ask } from '../ask.ts'
import {
  createRouter,
  type Options,
  plainName,
  type TraefikConfiguration,
  textsIn,
} from './configuration.ts'

/** Reads the configuration in force from Traefik's API, such as `http://localhost:8080/api`. */
export async function readTraefikApi(base: string, ask: Ask): Promise<TraefikConfiguration> {
  const get = async (path: string): Promise<unknown> => {
    const { status, body } = await ask(`${base.replace(/\/$/, '')}${path}`)
    if (status !== 200) throw new Error(`${path} was answered with ${status}`)
    return parseJson(body)
  }
  const list = async (path: string) => named(await get(`${path}?per_page=1000`))
  const version = await get('/version')
  const routers = await list('/http/routers')
  const text = isRecord(version) ? version['Version'] : undefined
  return {
    ...(typeof text === 'string' && { version: text }),
    entryPoints: new Map(await list('/entrypoints')),
    middlewares: new Map(await list('/http/middlewares')),
    routers: routers.map(([name, options]) =>
      createRouter(name, options, textsIn(options['middlewares'])),
    ),
  }
}

function named(value: unknown): readonly (readonly [string, Options])[] {
  const members: readonly unknown[] = Array.isArray(value) ? value : []
  return members.filter(isRecord).map((each) => [plainName(String(each['name'])), each])
}

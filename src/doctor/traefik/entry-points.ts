import { type Finding, finding } from '../finding.ts'
import {
  createRouter,
  entryPointsOf,
  type Options,
  optionAt,
  type TraefikConfiguration,
  textsIn,
} from './configuration.ts'

/** Examines what each entry point that serves a router lets clients send; without routers, what each may serve. */
export function examineEntryPoints(configuration: TraefikConfiguration): readonly Finding[] {
  const { entryPoints, routers } = configuration
  const apps = routers.filter(({ service }) => !service.endsWith('@internal'))
  const used = new Set(
    (apps.length > 0 ? apps : [createRouter('', {})]).flatMap((each) =>
      entryPointsOf(each, configuration),
    ),
  )
  const served = [...entryPoints].filter(([name, options]) => used.has(name) && isHttp(options))
  return [
    ...findingOf(served, 'forwarded_headers', 'forwardedHeaders trusts everybody', isInsecure),
    ...findingOf(served, 'alias_headers', 'http.aliasHeadersStrategy is not delete', isKeeping),
    ...findingOf(served, 'encoded_characters', '%5C or %00 is allowed', isDecoding),
  ]
}

type Code = 'forwarded_headers' | 'alias_headers' | 'encoded_characters'

/** Makes one finding of all entry points with a fault. */
function findingOf(
  served: readonly (readonly [string, Options])[],
  code: Code,
  seen: string,
  hasFault: (options: Options) => boolean,
): readonly Finding[] {
  const names = served.filter(([, options]) => hasFault(options)).map(([name]) => name)
  return names.length === 0 ? [] : [finding(code, `Entry point ${names.join(', ')}: ${seen}.`)]
}

/** Leaves out UDP, and entry points that only redirect. */
function isHttp(options: Options): boolean {
  const isUdp = String(options['address']).endsWith('/udp')
  return !isUdp && optionAt(options, 'http', 'redirections', 'entryPoint') === undefined
}

function isInsecure(options: Options): boolean {
  const trusted = textsIn(optionAt(options, 'forwardedHeaders', 'trustedIPs'))
  const isEverybody = trusted.some((network) => network.endsWith('/0'))
  return isEverybody || optionAt(options, 'forwardedHeaders', 'insecure') === true
}

function isKeeping(options: Options): boolean {
  const strategies = ['aliasHeadersStrategy', 'underscoreHeadersStrategy'].map((name) =>
    optionAt(options, 'http', name),
  )
  return !strategies.some((each) => each === 'delete' || each === 'reject')
}

function isDecoding(options: Options): boolean {
  const allowed = ['allowEncodedBackSlash', 'allowEncodedNullCharacter']
  return allowed.some((name) => optionAt(options, 'http', 'encodedCharacters', name) !== false)
}

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { parseAllDocuments } from 'yaml'
import { isRecord } from '../../core/json.ts'
import {
  createRouter,
  joinConfigurations,
  NO_CONFIGURATION,
  type Options,
  optionAt,
  plainName,
  type TraefikConfiguration,
  textsIn,
} from './configuration.ts'

/** Reads a file, or all of a folder: static and dynamic configuration, and objects of Kubernetes. */
export async function readTraefikFiles(path: string): Promise<TraefikConfiguration> {
  try {
    const isFolder = (await stat(path)).isDirectory()
    const names = isFolder ? await readdir(path, { recursive: true }) : ['']
    const files = names.filter((name) => !isFolder || isReadable(name))
    return joinConfigurations(await Promise.all(files.map((name) => readPart(join(path, name)))))
  } catch (cause) {
    return unreadable(path, cause)
  }
}

/** Leaves out what a volume of Kubernetes keeps beside its files: `..data/vestibule.yaml`. */
function isReadable(name: string): boolean {
  return /\.(?:ya?ml|toml)$/.test(name) && !/(?:^|\/)\.\./.test(name)
}

async function readPart(file: string): Promise<TraefikConfiguration> {
  try {
    const documents = await readDocuments(file)
    return joinConfigurations(documents.flatMap(itemsOf).map(toConfiguration))
  } catch (cause) {
    return unreadable(file, cause)
  }
}

/** Names the line and not the parser's message, which quotes the line: it may be a password. */
function unreadable(file: string, cause: unknown): TraefikConfiguration {
  const { code, line, linePos } = cause as {
    readonly code?: string
    readonly line?: number
    readonly linePos?: readonly { readonly line: number }[]
  }
  const at = line ?? linePos?.[0]?.line
  const reason = at === undefined ? (code ?? 'not YAML or TOML') : `error in line ${at}`
  return { ...NO_CONFIGURATION, unread: [`${file}: ${reason}`] }
}

async function readDocuments(file: string): Promise<readonly Options[]> {
  const text = await readFile(file, 'utf8')
  const documents: readonly unknown[] = file.endsWith('.toml')
    ? [parseToml(text)]
    : parseAllDocuments(text).map((each) => {
        const [error] = each.errors
        if (error) throw error
        return each.toJS() as unknown
      })
  return documents.filter(isRecord)
}

/** Returns the objects of a list as `kubectl get -o yaml` prints it. */
function itemsOf(document: Options): readonly Options[] {
  const { kind, items } = document
  return kind === 'List' && Array.isArray(items) ? items.filter(isRecord) : [document]
}

function toConfiguration(document: Options): TraefikConfiguration {
  if (typeof document['kind'] === 'string') return fromObject(document)
  const routers = entriesIn(optionAt(document, 'http', 'routers'))
  return {
    ...NO_CONFIGURATION,
    entryPoints: new Map(entriesIn(document['entryPoints'])),
    middlewares: new Map(entriesIn(optionAt(document, 'http', 'middlewares'))),
    routers: routers.map(([name, options]) => createRouter(name, options)),
  }
}

function fromObject(document: Options): TraefikConfiguration {
  const { kind, spec } = document
  const name = String(optionAt(document, 'metadata', 'name'))
  if (!isRecord(spec)) return NO_CONFIGURATION
  if (kind === 'Middleware') return { ...NO_CONFIGURATION, middlewares: new Map([[name, spec]]) }
  const { routes, entryPoints, tls } = spec
  if (kind !== 'IngressRoute' || !Array.isArray(routes)) return NO_CONFIGURATION
  const routers = routes.filter(isRecord).map((route) => {
    const [service = ''] = textsIn(route['services'])
    return createRouter(name, { ...route, entryPoints, tls, service })
  })
  return { ...NO_CONFIGURATION, routers }
}

function entriesIn(value: unknown): readonly (readonly [string, Options])[] {
  if (!isRecord(value)) return []
  return Object.entries(value).map(([name, options]) => [
    plainName(name),
    isRecord(options) ? options : {},
  ])
}

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { parseAllDocuments } from 'yaml'
import { isRecord } from '../../core/json.ts'
import {
  createRouter,
  joinConfigurations,
  type Options,
  optionAt,
  plainName,
  type TraefikConfiguration,
  textsIn,
} from './configuration.ts'

/** Reads a file, or all of a folder: static and dynamic configuration, and objects of Kubernetes. */
export async function readTraefikFiles(path: string): Promise<TraefikConfiguration> {
  const isFolder = (await stat(path)).isDirectory()
  const names = isFolder ? await readdir(path, { recursive: true }) : ['']
  const files = names
    .map((name) => join(path, name))
    .filter((each) => !isFolder || /\.(?:ya?ml|toml)$/.test(each))
  const parts = await Promise.all(files.map(readDocuments))
  return joinConfigurations(parts.flat().map(toConfiguration))
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

function toConfiguration(document: Options): TraefikConfiguration {
  if (typeof document['kind'] === 'string') return fromObject(document)
  const routers = entriesIn(optionAt(document, 'http', 'routers'))
  return {
    entryPoints: new Map(entriesIn(document['entryPoints'])),
    middlewares: new Map(entriesIn(optionAt(document, 'http', 'middlewares'))),
    routers: routers.map(([name, options]) =>
      createRouter(name, options, textsIn(options['middlewares'])),
    ),
  }
}

function fromObject(document: Options): TraefikConfiguration {
  const name = String(optionAt(document, 'metadata', 'name'))
  const spec = optionAt(document, 'spec')
  const isMiddleware = document['kind'] === 'Middleware' && isRecord(spec)
  const routes: unknown = document['kind'] === 'IngressRoute' ? optionAt(spec, 'routes') : []
  const options = (Array.isArray(routes) ? routes : []).filter(isRecord)
  return {
    entryPoints: new Map(),
    middlewares: new Map(isMiddleware ? [[name, spec]] : []),
    routers: options.map((route) => createRouter(name, route, textsIn(route['middlewares']))),
  }
}

function entriesIn(value: unknown): readonly (readonly [string, Options])[] {
  if (!isRecord(value)) return []
  return Object.entries(value).map(([name, options]) => [
    plainName(name),
    isRecord(options) ? options : {},
  ])
}

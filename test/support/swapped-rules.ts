import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'

/**
 * Makes a folder with a settings file for each set and a link to one of them, at first the first, which `use` replaces as
 * the kubelet replaces that of a ConfigMap.
 */
export async function startSwappedRules<Name extends string>(sets: Record<Name, object>) {
  const folder = await mkdtemp(join(tmpdir(), 'vestibule-sets-'))
  const names = Object.keys(sets) as Name[]
  for (const name of names) {
    await mkdir(join(folder, name))
    const text = stringify(sets[name], { aliasDuplicateObjects: false })
    await writeFile(join(folder, name, 'vestibule.yaml'), text)
  }
  const use = async (name: Name) => {
    await symlink(name, join(folder, 'next'))
    await rename(join(folder, 'next'), join(folder, 'current'))
  }
  await use(names[0] as Name)
  return {
    path: join(folder, 'current', 'vestibule.yaml'),
    use,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

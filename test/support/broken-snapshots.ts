import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from './own-lag.ts'
import type { RunningRedis } from './redis.ts'

/** Puts a folder in the place of the snapshot file. Returns a function that removes it. */
export const breakSnapshots = async (redis: RunningRedis): Promise<() => Promise<void>> => {
  const [, folder = ''] = (await redis.cli('CONFIG', 'GET', 'dir')).split('\n')
  const snapshot = join(folder, 'dump.rdb')
  const saveUntil = async (status: 'ok' | 'err') => {
    await until(`a snapshot that is ${status}`, async () => {
      const info = await redis.cli('INFO', 'persistence')
      if (info.includes(`rdb_last_bgsave_status:${status}`)) return true
      if (info.includes('rdb_bgsave_in_progress:0')) await redis.cli('BGSAVE')
      return false
    })
  }
  await redis.cli('CONFIG', 'SET', 'save', '3600 1')
  await mkdir(snapshot)
  await saveUntil('err')
  return async () => {
    await rm(snapshot, { recursive: true })
    await saveUntil('ok')
  }
}

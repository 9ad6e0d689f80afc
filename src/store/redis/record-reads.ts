import type { BinaryClient } from '../../redis/client.ts'
import { failureOf } from '../../redis/failure.ts'
import type { RecordPart, SealedRecords } from '../store.ts'
import { readValue, readValues } from './replies.ts'
import { createScoutedReads } from './scouted-reads.ts'

/** Records of one session to read over a connection, by their keys. */
export interface RecordQuestion {
  readonly digest: string
  readonly parts: readonly RecordPart[]
  readonly keys: readonly string[]
  readonly binary: BinaryClient
}

/**
 * Size above which a value cannot be a record, because a provider's answer is bounded to half of this before sealing.
 */
const MAX_RECORD_BYTES = 2 * 1024 * 1024

/** Stands for a value that cannot be a record, such as a list or 50 MB, and fails to open (threat A91). */
const UNUSABLE = Buffer.alloc(0)

/** Creates the read of sealed records, by one `GET` or one `MGET`. */
export function createRecordReads(): (question: RecordQuestion) => Promise<SealedRecords> {
  const reads = createScoutedReads<RecordQuestion, SealedRecords>({ fetch, unusable })

  /** Writes the words of the command itself, because a method of node-redis makes two promises more. */
  function fetch(question: RecordQuestion): Promise<SealedRecords> {
    const { binary, keys } = question
    return binary.sendCommand<unknown>([keys.length === 1 ? 'GET' : 'MGET', ...keys]).then(
      (reply) => recordsIn(question, reply),
      (cause: unknown) => {
        // A value of another type.
        if (failureOf(cause) === 'data') return unusable(question)
        throw cause
      },
    )
  }

  function recordsIn(question: RecordQuestion, reply: unknown): SealedRecords {
    const { digest, parts } = question
    const values = parts.length === 1 ? [readValue(reply)] : readValues(reply, parts.length)
    const records: Partial<Record<RecordPart, Buffer>> = {}
    for (const [index, part] of parts.entries()) {
      const value = values[index]
      if (!value) continue
      if (value.length > MAX_RECORD_BYTES) {
        reads.noteOversized(digest)
        return unusable(question)
      }
      records[part] = value
    }
    return records
  }

  return (question) => reads.read(question)
}

function unusable({ parts: [first] }: RecordQuestion): SealedRecords {
  return first === undefined ? {} : { [first]: UNUSABLE }
}

import { plain } from '../../http/answers.ts'
import type { NodeContext } from '../../http/request.ts'

/** Serves `GET BASE_PATH/client.js`, the script by which pages follow events. */
export function createClientScript() {
  return (_c: NodeContext): Response => plain(404)
}

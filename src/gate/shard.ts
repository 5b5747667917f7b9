/** The worker's entry: Piscina calls it once a life, with the task of one shard. */
import { startShard } from '../relay/shard.ts';
import type { ShardTask } from './messages.ts';
import { runShard } from './shard_runner.ts';

export default async function run(task: ShardTask): Promise<void> {
  await runShard(task, startShard);
}

/** The shard of src/gate/shard.ts, whose thread does nothing else for ever when it is told so. */
import type { ShardTask } from '../../src/gate/messages.ts';
import run from '../../src/gate/shard.ts';

export default async function hanging(task: ShardTask): Promise<void> {
  const told = new BroadcastChannel('hang');
  told.unref();
  told.onmessage = () => {
    for (;;);
  };
  await run(task);
}

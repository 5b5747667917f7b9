/** The shard of src/gate/shard.ts, which ends at once, in the middle of whatever it does, when its number is called. */
import type { ShardTask } from '../../src/gate/messages.ts';
import run from '../../src/gate/shard.ts';

export default async function mortal(task: ShardTask): Promise<void> {
  const doom = new BroadcastChannel('mortal');
  doom.unref();
  doom.onmessage = (event) => {
    // In a worker this ends the thread and nothing else; what it had not written is gone.
    if (event.data === task.shard) process.exit(1);
  };
  await run(task);
}

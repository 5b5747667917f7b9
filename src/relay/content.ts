/**
 * A message's content on its way out, through its edits: from memory in one write, or from disk a chunk at a time, as
 * fast as the peer takes it.
 */
import { Editor } from '../message/edits.ts';
import type { Connection } from '../net/connection.ts';
import { DotStuffer, endOfData } from '../smtp/dots.ts';
import type { Spool, Stored } from '../spool/spool.ts';

/**
 * Up to here commands and content are copied into one buffer, a piece of Node's pool (half of it at most): for a few
 * KiB that costs less than the lists, strings and callbacks of a gathering write.
 */
const ONE_PIECE_BYTES_MAX = Buffer.poolSize >>> 1;

/** BDAT (RFC 3030): the octets as they are, in one write with the commands before them. The content is in memory. */
export function sendBdat(connection: Connection, commands: string, { content, envelope }: Stored): void {
  const editor = new Editor(envelope.edits, envelope.content.bytes);
  const views = editor.apply(content!);
  for (const view of editor.end()) views.push(view);
  let bytes = commands.length;
  for (const view of views) bytes += view.length;
  if (bytes < ONE_PIECE_BYTES_MAX) connection.sendBytes(joined(commands, views, bytes));
  else {
    connection.cork();
    connection.send(commands);
    for (const view of views) connection.sendBytes(view);
    connection.uncork();
  }
}

function joined(commands: string, views: readonly Uint8Array[], bytes: number): Buffer {
  const piece = Buffer.allocUnsafe(bytes);
  let at = piece.write(commands, 'latin1');
  for (const view of views) {
    piece.set(view, at);
    at += view.length;
  }
  return piece;
}

/**
 * DATA (RFC 5321 §4.5.2), with its end. Resolves when all has been handed to the connection; rejects when the content
 * cannot be read, and then no end of data was sent.
 */
export async function sendData(
  connection: Connection,
  spool: Spool,
  message: Stored,
  onProgress: () => void,
): Promise<void> {
  const { edits, content } = message.envelope;
  const editor = new Editor(edits, content.bytes);
  const stuffer = content.dotted ? new DotStuffer() : null;
  if (message.content !== null) {
    connection.cork();
    for (const view of editor.apply(message.content)) send(connection, view, stuffer);
    for (const view of editor.end()) send(connection, view, stuffer);
    connection.send(endOfData(content.endsInCrlf));
    connection.uncork();
    return;
  }
  for await (const chunk of spool.read(message)) {
    onProgress();
    const views = editor.apply(chunk);
    await connection.sendLent(stuffer === null ? views : views.flatMap((view) => stuffed(view, stuffer)));
    if (!connection.open) return;
  }
  for (const view of editor.end()) send(connection, view, stuffer);
  connection.send(endOfData(content.endsInCrlf));
}

function send(connection: Connection, view: Uint8Array, stuffer: DotStuffer | null): void {
  const pieces = stuffer === null ? [view] : stuffed(view, stuffer);
  for (const piece of pieces) connection.sendBytes(piece);
}

const DOT = Buffer.from('.');

const stuffed = (view: Uint8Array, stuffer: DotStuffer): Uint8Array[] =>
  stuffer
    .split(view)
    .flatMap((piece, at) => (at === 0 ? [piece] : [DOT, piece]))
    .filter((piece) => piece.length > 0);

/** A client that says exactly what it is told, byte for byte, and reads replies; each wait has an end. */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { Changes } from './deadline.ts';
import type { HostPort } from './postern.ts';

export type Reply = {
  readonly code: number;
  /** Whole lines as they came, without CRLF. */
  readonly lines: readonly string[];
  readonly text: string;
};

export class SmtpClient {
  #socket: net.Socket;
  readonly #changes = new Changes();
  #received = '';
  /** Everything the server said, one char per byte. */
  transcript = '';
  #closed = false;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#attach(socket);
  }

  /** Resolves when connected; the banner is the first reply. */
  static async connect({ host, port }: HostPort, localAddress?: string): Promise<SmtpClient> {
    const socket = net.connect({ host, port, noDelay: true, ...(localAddress === undefined ? {} : { localAddress }) });
    await once(socket, 'connect');
    return new SmtpClient(socket);
  }

  /** Connected, and past banner and EHLO. */
  static async greeted(at: HostPort, name = 'client.example'): Promise<SmtpClient> {
    const client = await SmtpClient.connect(at);
    await client.expect(220);
    await client.command(`EHLO ${name}`, 250);
    return client;
  }

  /** Has come, and nobody has asked for it yet. */
  get unread(): string {
    return this.#received;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the bytes are with the kernel, or when the connection is gone. Text is one char per byte. */
  send(bytes: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
      if (this.#closed || !this.#socket.writable) resolve();
      else this.#socket.write(buffer, () => resolve());
    });
  }

  /** The next line of the server, without CRLF; rejects where it closes instead. */
  line(): Promise<string> {
    return this.#changes
      .until('a line of a reply', () => {
        const end = this.#received.indexOf('\r\n');
        if (end === -1) return undefined;
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 2);
        return { line };
      })
      .then(({ line }) => line);
  }

  /** The next whole reply (RFC 5321 §4.2.1). */
  async reply(): Promise<Reply> {
    const lines: string[] = [];
    let line: string;
    do {
      line = await this.line();
      lines.push(line);
    } while (line[3] === '-');
    return { code: Number(line.slice(0, 3)), lines, text: lines.join('\n') };
  }

  /** The next reply, which must have this code. */
  async expect(code: number): Promise<Reply> {
    const reply = await this.reply();
    if (reply.code !== code) throw new Error(`expected ${code}, got: ${reply.text}`);
    return reply;
  }

  /** One command and its reply, which must have the code if one is given. */
  async command(line: string, code?: number): Promise<Reply> {
    await this.send(`${line}\r\n`);
    return code === undefined ? this.reply() : this.expect(code);
  }

  /** MAIL, RCPT, DATA and the content, which is taken as it is but for dot-stuffing. Gives the id of the 250. */
  async deliver(sender: string, recipients: readonly string[], content: string): Promise<string> {
    await this.command(`MAIL FROM:<${sender}>`, 250);
    for (const recipient of recipients) await this.command(`RCPT TO:<${recipient}>`, 250);
    await this.command('DATA', 354);
    await this.send(`${stuffed(content)}.\r\n`);
    return idOf(await this.expect(250));
  }

  /** A whole transaction whose end the server refuses; resolves to that reply. */
  async offer(sender: string, recipients: readonly string[], content: string): Promise<Reply> {
    await this.command(`MAIL FROM:<${sender}>`, 250);
    for (const recipient of recipients) await this.command(`RCPT TO:<${recipient}>`, 250);
    await this.command('DATA', 354);
    await this.send(`${content}.\r\n`);
    return await this.reply();
  }

  /** STARTTLS has been answered 220: the handshake, without looking at the certificate. */
  async secure(options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
    const plain = this.#socket;
    plain.removeAllListeners();
    const secured = tls.connect({ rejectUnauthorized: false, ...options, socket: plain });
    this.#socket = secured;
    this.#attach(secured);
    const gone = this.#changes.until<never>('the handshake', () => undefined);
    gone.catch(() => undefined); // it is awaited by the race only
    await Promise.race([once(secured, 'secureConnect'), gone]);
    return secured;
  }

  /** Resolves when the server has closed. */
  async close(): Promise<void> {
    await this.#changes.until('the server to close', () => this.#closed);
  }

  /** Half-closes: we have nothing more to say. */
  end(): void {
    this.#socket.end();
  }

  /** Gone, with a FIN where nothing is unread. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** Gone, with a reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  async quit(): Promise<void> {
    await this.command('QUIT', 221);
    await this.close();
  }

  #attach(socket: net.Socket): void {
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      this.#received += text;
      this.transcript += text;
      this.#changes.note();
    });
    socket.on('error', () => undefined); // what follows is a close
    socket.on('close', () => {
      this.#closed = true;
      this.#changes.end(new Error(`the server closed; it had said:\n${this.transcript.slice(-2000)}`));
    });
  }
}

/** RFC 5321 §4.5.2. */
export const stuffed = (content: string): string => content.replace(/^\./gm, '..');

/** The id in `queued as ID`. */
export function idOf(reply: Reply): string {
  const match = /queued as (\S+)/.exec(reply.text);
  if (match === null) throw new Error(`no id in: ${reply.text}`);
  return match[1] as string;
}

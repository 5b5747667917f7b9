/**
 * A connection between accept and the thread that will read from it: what travels is cheap, and the socket is made of
 * it where it stays.
 *
 *   native acceptor   a descriptor: a number, which somebody must make a socket of, or it stays open for good
 *   Node's server     a socket, paused since accept, which is transferred: it goes down with the port that it is in
 */
import type net from 'node:net';
import { InPlaceSocket } from './in_place.ts';

export type Accepted = number | net.Socket;

/** The socket that it is, in this thread from now on; once. Its owner listens before the event loop goes on. */
export const socketOf = (accepted: Accepted): net.Socket =>
  typeof accepted === 'number' ? new InPlaceSocket({ fd: accepted, allowHalfOpen: false }) : accepted;

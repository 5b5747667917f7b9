/**
 * One outbound connection: dials a site's targets in order, greets, and carries one parcel after the other.
 * What is said is smtp/client.ts; here are the socket, the deadlines and the content's way from journal to wire.
 *
 *   dial ─► greet ─► (STARTTLS, AUTH) ─► carrying ⇄ idle ─► closed
 *     ▲        │ refused, lost, too slow
 *     └────────┘ the next target; after the last: Site.notConnected
 */

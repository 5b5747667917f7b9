/** The certificates of bench/load, which the load scenarios need as well. */
export * from '../../bench/load/certificates.ts';

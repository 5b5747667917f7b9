/** What stands behind the program's name on the command line. */
export const commandLine = (): readonly string[] => process.argv.slice(2);

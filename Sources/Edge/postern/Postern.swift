// The program: its commands, and nothing else.

import ArgumentParser

@main
struct Postern: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postern",
        abstract: "The one guarded gate for the mail that agents and internal tools send.",
        discussion: """
            Start here:  postern quickstart
            It needs no flags and no second server, and prints a card with all that you need to send a first message.
            """,
        version: Version.text,
        groupedSubcommands: [
            CommandGroup(
                name: "Running a server",
                subcommands: [ServeCommand.self, QuickstartCommand.self, MigrateCommand.self, CheckCommand.self]),
            CommandGroup(name: "Documentation", subcommands: [ReferenceCommand.self]),
        ]
    )
}

enum Version {
    static let text = "0.1.0"
}

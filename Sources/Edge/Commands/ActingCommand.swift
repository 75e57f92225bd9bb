// Every command says which of the gate's actions it is. One that says nothing does not compile, or does not start.

package import ArgumentParser
package import Model

package protocol ActingCommand: ParsableCommand {
    static var action: Action { get }
}

/// A command that works on the server's own machine, with its configuration, and asks no server.
package protocol LocalCommand: ActingCommand {}

extension LocalCommand {
    package static var action: Action { .machine }
}

/// The commands below a program's root, as they are typed.
struct CommandTree: Sendable {
    struct Leaf: Sendable {
        /// The words behind the program's name.
        let words: String
        /// `nil`: the command does not say.
        let action: Action?
    }

    let leaves: [Leaf]

    /// The program that runs now; empty in a test that runs none.
    @TaskLocal static var current = CommandTree(leaves: [])

    private init(leaves: [Leaf]) { self.leaves = leaves }

    init(_ root: any ParsableCommand.Type) {
        var leaves: [Leaf] = []
        func walk(_ command: any ParsableCommand.Type, _ words: [String]) {
            for next in command.configuration.subcommands { walk(next, words + [Self.name(next)]) }
            // A group that is typed alone shows its help.
            guard command.configuration.subcommands.isEmpty else { return }
            leaves.append(
                Leaf(words: words.joined(separator: " "), action: (command as? any ActingCommand.Type)?.action))
        }
        walk(root, [])
        self.leaves = leaves
    }

    /// What the parser calls a command: as it is told, else by its type, `AddIP` as `add-ip`.
    static func name(_ command: any ParsableCommand.Type) -> String { command._commandName }

    /// The commands of an action, in the order of the help.
    func commands(of action: Action) -> [String] { leaves.filter { $0.action == action }.map(\.words) }
}

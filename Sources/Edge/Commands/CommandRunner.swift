// Runs the program's command line and says how it ended: 0 ok, 1 refused, 2 wrong usage, 3 not reachable, 4 timed out.

package import ArgumentParser

package enum CommandRunner {
    /// Parses and runs. ArgumentParser's own `main()` would end a usage mistake with 64; the codes above are promised.
    package static func run<Root: AsyncParsableCommand>(_ root: Root.Type, _ arguments: [String]? = nil) async -> Int32
    {
        let tree = CommandTree(root)
        let unnamed = tree.leaves.filter { $0.action == nil }.map(\.words)
        guard unnamed.isEmpty else {
            Terminal.current.note("postern: these commands name no action: \(unnamed.joined(separator: ", "))")
            return 1
        }
        return await CommandTree.$current.withValue(tree) { await start(root, arguments) }
    }

    private static func start(_ root: any AsyncParsableCommand.Type, _ arguments: [String]?) async -> Int32 {
        do {
            var command = try root.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            return report(error, root)
        }
    }

    private static func report(_ error: any Error, _ root: any ParsableCommand.Type) -> Int32 {
        let text = root.fullMessage(for: error)
        let code = root.exitCode(for: error)
        guard code == .success else {
            Terminal.current.note(text)
            return code == .validationFailure ? 2 : code.rawValue
        }
        // Help that nobody reads to its end is still help.
        try? Terminal.current.line(text)
        return 0
    }
}

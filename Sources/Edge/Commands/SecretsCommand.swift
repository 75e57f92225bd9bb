// `postern secrets`: what the vault keeps sealed. Values go in by a file or standard input, and never come out.

package import ArgumentParser
import JSON
import Model

package struct SecretsCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "secrets",
        abstract: "Set, list and delete the vault's secrets, and seal them anew.",
        discussion: """
            Example:
              postern secrets set smarthost_password < password.txt
            """,
        subcommands: [List.self, Set.self, Delete.self, Rotate.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the names of the secrets.",
            discussion: """
                Example:
                  postern secrets list
                """)

        static let action = Action.secretRead

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.get, "secrets"))
            guard let rows = answer["data"]?.arrayValue else { throw CommandFailure.notPostern }
            var table = Table([TableColumn("NAME", "name"), TableColumn("SET", "updated_at")])
            try output.show(
                .object(answer), rows.isEmpty ? ["No secrets."] : table.lines(rows.compactMap(\.objectValue)))
        }
    }

    struct Set: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a secret, or replace it.",
            discussion: """
                The value is read from standard input or a file, never from the command line, which other users of the \
                machine can see. One line break at its end is not part of it.

                Example:
                  postern secrets set smarthost_password < password.txt
                  postern secrets set smarthost_password --value-file password.txt
                """)

        static let action = Action.secretWrite

        @Argument(help: "The secret's name: a-z, 0-9 and _.") var name: String
        @Option(help: ArgumentHelp("Read the value from this file.", valueName: "path")) var valueFile: String?
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(name) }

        func perform(_ api: APIClient) async throws {
            let body = JSONObject(["value": .string(try value(Terminal.current))])
            try output.show(try await api.object(APIRequest(.put, "secrets", name, json: body)))
        }

        private func value(_ terminal: Terminal) throws -> String {
            var bytes: [UInt8]
            do throws(FileFailure) {
                if let valueFile { bytes = try FileBytes.read(valueFile) } else { bytes = try terminal.input() }
            } catch {
                throw ValidationError(error.description)
            }
            if bytes.last == 0x0A { bytes.removeLast() }
            if bytes.last == 0x0D { bytes.removeLast() }
            guard !bytes.isEmpty else { throw ValidationError("The value is empty; `secrets delete` takes one away.") }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw ValidationError("The value is not UTF-8.")
            }
            return text
        }
    }

    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a secret at once and for good.",
            discussion: """
                Example:
                  postern secrets delete smarthost_password
                """)

        static let action = Action.secretWrite

        @Argument(help: "The secret's name.") var name: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(name) }

        func perform(_ api: APIClient) async throws {
            _ = try await api.send(APIRequest(.delete, "secrets", name))
            try output.done("deleted", name)
        }
    }

    struct Rotate: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Give the vault a new data key and seal every secret with it.",
            discussion: """
                The values stay what they are, and mail goes on meanwhile.

                Example:
                  postern secrets rotate
                """)

        static let action = Action.secretWrite

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.post, "secrets", "rotate"))
            let count = answer["rotated"]?.integerValue ?? 0
            try output.show(
                .object(answer), [count == 1 ? "1 secret was sealed anew" : "\(count) secrets were sealed anew"])
        }
    }
}

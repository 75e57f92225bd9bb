// `postern pool add-ip`, `remove-ip`, `move-ip`: the addresses of a pool, one by one.

import ArgumentParser
import JSON
import Model

/// Reads a pool, makes another list of its addresses, and writes that.
protocol PoolAddressCommand: APICommand {
    var id: String { get }
    var output: OutputOptions { get }
    /// - Parameter addresses: as the server has them.
    func changed(_ addresses: [String]) throws(CommandFailure) -> [String]
}

extension PoolAddressCommand {
    static var action: Action { .poolWrite }

    func validate() throws { try IDArgument.check(id) }

    func perform(_ api: APIClient) async throws {
        let pool = try await api.object(APIRequest(.get, "ip-pools", id))
        guard let elements = pool["ips"]?.arrayValue else { throw CommandFailure.notPostern }
        var body = JSONObject()
        body["ips"] = .array(try changed(elements.compactMap(\.stringValue)).map { .string($0) })
        try output.show(try await api.object(APIRequest(.patch, "ip-pools", id, json: body)))
    }
}

extension PoolCommand {
    struct AddIP: PoolAddressCommand {
        static let configuration = CommandConfiguration(
            commandName: "add-ip",
            abstract: "Add addresses to a pool, behind those that it has.",
            discussion: """
                Example:
                  postern pool add-ip POOL_ID 192.0.2.13 2001:db8::13
                """)

        @Argument(help: "The pool's id.") var id: String
        @Argument(help: "Addresses.") var ips: [String]
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func changed(_ addresses: [String]) -> [String] { addresses + ips.splitAtCommas }
    }

    struct RemoveIP: PoolAddressCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove-ip",
            abstract: "Take addresses out of a pool.",
            discussion: """
                Example:
                  postern pool remove-ip POOL_ID 192.0.2.13
                """)

        @Argument(help: "The pool's id.") var id: String
        @Argument(help: "Addresses.") var ips: [String]
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func changed(_ addresses: [String]) throws(CommandFailure) -> [String] {
            var rest = addresses
            for ip in ips.splitAtCommas { rest.remove(at: try PoolCommand.index(of: ip, in: rest)) }
            return rest
        }
    }

    struct MoveIP: PoolAddressCommand {
        static let configuration = CommandConfiguration(
            commandName: "move-ip",
            abstract: "Give an address of a pool another place; the first one is preferred.",
            discussion: """
                Example:
                  postern pool move-ip POOL_ID 192.0.2.13 --to 1
                """)

        @Argument(help: "The pool's id.") var id: String
        @Argument(help: "The address.") var ip: String
        @Option(help: ArgumentHelp("Its place from now on, from 1.", valueName: "place")) var to: Int
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            try IDArgument.check(id)
            guard to >= 1 else { throw ValidationError("--to is from 1.") }
        }

        func changed(_ addresses: [String]) throws(CommandFailure) -> [String] {
            guard to <= addresses.count else {
                throw .failed("the pool has \(addresses.count) addresses, so there is no place \(to)")
            }
            var addresses = addresses
            let address = addresses.remove(at: try PoolCommand.index(of: ip, in: addresses))
            addresses.insert(address, at: to - 1)
            return addresses
        }
    }

    /// The server writes every address in one way; what was typed may be another.
    private static func index(of ip: String, in addresses: [String]) throws(CommandFailure) -> Int {
        guard let index = addresses.firstIndex(of: SendingAddress.normalized(ip) ?? ip) else {
            throw .failed("the pool has no address \(Visible.text(ip)); it has \(addresses.joined(separator: ", "))")
        }
        return index
    }
}

// What keeps the smart host's route from sending is worth another try, and says why; nothing is ever thrown away for it.

import CoreTestSupport
import Delivery
import JSON
import Model
import NIOPosix
import SMTPClient
import Sealing
import Store
import TestSupport
import Testing
import Vaults

@Suite("Smart-host route")
struct SmarthostRouteTests {
    private func outcomes(_ house: TestHouse, vaults: VaultDirectory? = nil) async throws -> [RouteOutcome] {
        let client = SMTPClientPool(eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: silent)
        let route = SmarthostRoute(
            client: client, vaults: vaults ?? house.vaults, database: house.database, hostname: "mail.example.org",
            trustRootsPEM: nil)
        let claimed = try await house.claimAll()
        let outcomes = await route.deliver(claimed)
        await client.shutdown()
        #expect(outcomes.map(\.message.id) == claimed.map(\.id), "one outcome a message, in order")
        return outcomes
    }

    private func isDeferred(_ outcome: RouteOutcome) -> Bool {
        if case .deferred = outcome.result { true } else { false }
    }

    @Test("a smart host that nobody listens at is tried again, and the timeline says what happened")
    func unreachable() async throws {
        let settings = TestHouse.settings.changing([
            "smarthost_host": .string("127.0.0.1"), "smarthost_port": .integer(1),
        ])
        try await withHouse(settings: settings) { house in
            try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            for outcome in try await outcomes(house) {
                #expect(isDeferred(outcome))
                #expect(outcome.reply?.asData().isEmpty == false)
                let detail = try JSONParser.parse(outcome.detail?.asData() ?? "").objectValue
                #expect(detail?["stage"]?.stringValue == "connect")
                #expect(detail?["transcript"]?.arrayValue != nil)
            }
        }
    }

    @Test(
        "a setting that was taken away after the message was accepted is named",
        arguments: ["smarthost_host", "smarthost_port", "smarthost_tls"])
    func missingSetting(_ key: String) async throws {
        try await withHouse(settings: TestHouse.settings.changing([key: nil])) { house in
            try await house.accept()
            let outcome = try #require(try await outcomes(house).first)
            #expect(isDeferred(outcome))
            #expect(outcome.reply?.asData().contains(key) == true)
        }
    }

    @Test("a password that does not open under this master key is tried again, and shows nothing")
    func wrongMasterKey() async throws {
        let settings = TestHouse.settings.changing([
            "smarthost_username": .string("user"), "smarthost_password": .string("hunter2"),
        ])
        try await withHouse(settings: settings) { house in
            try await house.accept()
            let stranger = VaultDirectory(
                database: house.database, masterKey: .random(), instanceDefaults: [:], clock: house.clock,
                ids: house.ids)
            let outcome = try #require(try await outcomes(house, vaults: stranger).first)
            #expect(isDeferred(outcome))
            #expect(outcome.reply?.asData().contains("hunter2") == false)
        }
    }
}

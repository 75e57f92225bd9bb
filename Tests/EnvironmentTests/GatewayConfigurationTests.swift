// The broker, MailerQ and alerts are set up completely or not at all, and nothing secret stands in a problem.

import AMQP
import Model
import Testing

@testable import Environment

@Suite("Gateway configuration")
struct GatewayConfigurationTests {
    private static let broker = [
        "POSTERN_AMQP_URL": "amqps://postern:s3cret@rabbit.example.com/acme", "POSTERN_QUEUE_OUTBOX": "outbox",
        "POSTERN_QUEUE_SUCCESS": "success", "POSTERN_QUEUE_FAILURE": "failure",
    ]

    private func problems(_ values: [String: String]) -> [String] {
        do throws(ConfigurationProblems) {
            _ = try InstanceConfiguration(layers: [values])
            return []
        } catch {
            return error.problems
        }
    }

    @Test("without any of it there is no broker, no MailerQ, and alerts are only recorded")
    func nothing() throws {
        let configuration = try InstanceConfiguration(layers: [[:]])
        #expect(configuration.broker == nil && configuration.mailerQ.endpoint == nil)
        #expect(configuration.alerts.webhookURL == nil && configuration.alerts.mail == nil)
        #expect(configuration.processLease == 60)
    }

    @Test("a broker with its queues, and the defaults of the rest")
    func complete() throws {
        let broker = try #require(try InstanceConfiguration(layers: [Self.broker]).broker)
        #expect(broker.endpoints.count == 1 && broker.endpoints[0].usesTLS && broker.endpoints[0].virtualHost == "acme")
        #expect(broker.exchange == "" && broker.routingKey == "outbox")
        #expect(broker.declare == .none && broker.prefetch == 200 && broker.queues.retry == nil)
        #expect(broker.managementURL == nil)
    }

    @Test(
        "a plain yes declares quorum queues",
        arguments: [
            ("true", BrokerConfiguration.Declare.quorum), ("false", .none), ("quorum", .quorum), ("classic", .classic),
        ])
    func declare(_ text: String, _ expected: BrokerConfiguration.Declare) throws {
        let layer = Self.broker.merging(["POSTERN_AMQP_DECLARE": text]) { $1 }
        #expect(try InstanceConfiguration(layers: [layer]).broker?.declare == expected)
    }

    @Test("a broker without one of its queues names the queue", arguments: ["OUTBOX", "SUCCESS", "FAILURE"])
    func missingQueue(_ name: String) {
        var values = Self.broker
        values["POSTERN_QUEUE_\(name)"] = nil
        #expect(problems(values) == ["POSTERN_QUEUE_\(name) is unset, and POSTERN_AMQP_URL needs it"])
    }

    @Test("queues with one name, a bad URL and a bad kind are all named in one run, without the password")
    func several() {
        var values = Self.broker
        values["POSTERN_QUEUE_FAILURE"] = "success"
        values["POSTERN_AMQP_DECLARE"] = "yes"
        values["POSTERN_AMQP_URL"] = "amqps://postern:s3cret@rabbit.example.com:port/acme"
        values["POSTERN_MAILERQ_URL"] = "https://mailerq.example.com"
        let found = problems(values)
        #expect(found.count == 4, "\(found)")
        #expect(!found.joined().contains("s3cret"))
    }

    @Test(
        "MailerQ's credentials are a token or a login, with a URL",
        arguments: [
            ["POSTERN_MAILERQ_URL": "https://m.example.com"],
            ["POSTERN_MAILERQ_TOKEN": "t"],
            ["POSTERN_MAILERQ_URL": "https://m.example.com", "POSTERN_MAILERQ_USERNAME": "u"],
            [
                "POSTERN_MAILERQ_URL": "https://m.example.com", "POSTERN_MAILERQ_TOKEN": "t",
                "POSTERN_MAILERQ_USERNAME": "u", "POSTERN_MAILERQ_PASSWORD": "p",
            ],
            ["POSTERN_MAILERQ_URL": "m.example.com", "POSTERN_MAILERQ_TOKEN": "t"],
        ])
    func credentials(_ values: [String: String]) {
        #expect(problems(values).count == 1)
    }

    @Test("alerts by mail need all three of their keys, and addresses that are some")
    func alertMail() {
        let complete = [
            "POSTERN_ALERT_EMAIL": "ops@acme.com", "POSTERN_ALERT_FROM": "postern@acme.com",
            "POSTERN_ALERT_VAULT": "default",
        ]
        #expect(problems(complete).isEmpty)
        for key in complete.keys {
            var values = complete
            values[key] = nil
            #expect(problems(values).count == 1)
        }
        #expect(problems(complete.merging(["POSTERN_ALERT_EMAIL": "nobody"]) { $1 }).count == 1)
        #expect(problems(["POSTERN_ALERT_WEBHOOK_SECRET": "x"]).count == 1)
    }

    @Test("a PostgreSQL URL is kept apart from what can be printed")
    func database() throws {
        let configuration = try InstanceConfiguration(
            layers: [["POSTERN_DATABASE_URL": "postgres://postern:s3cret@db/postern?sslmode=verify-full"]])
        guard case .postgreSQL = configuration.database else {
            Issue.record("not PostgreSQL")
            return
        }
        #expect(!"\(configuration)".contains("s3cret"))
    }
}

// Which rule finds what: shipped, the instance's, a vault's own, and those that are switched off.

import Model
import Store
import Testing

@testable import Alerts

@Suite("Rules in force")
struct AlertRuleBookTests {
    private let ours = VaultID(high: 0, low: 1)
    private let theirs = VaultID(high: 0, low: 2)

    private func backlog(_ count: Int, of vault: VaultID) -> AlertSign {
        AlertSign(.failureBacklog, subject: "failures of \(vault)", vault: vault, value: count, detail: "\(count)")
    }

    private func found(_ rows: [AlertRule], _ sign: AlertSign) -> [String] {
        AlertRuleBook(rows).findings(of: sign).map { finding in
            "\(finding.rule?.text.suffix(1) ?? "shipped") \(finding.vault == nil ? "hidden" : "seen")"
        }
    }

    @Test("where nobody wrote a rule the shipped one holds, for every condition")
    func shipped() {
        let book = AlertRuleBook()
        for condition in AlertCondition.allCases {
            let rules = book.rules(of: condition, about: ours)
            #expect(rules.count == 1 && rules[0].id == nil && rules[0].audience == .instance)
            #expect(rules[0].terms.channels == [.webhook, .email])
            let (terms, traits) = (rules[0].terms, condition.traits)
            #expect(traits.window.range.contains(terms.window) && AlertTraits.cooldown.contains(terms.cooldown))
            #expect((terms.threshold == nil) == (traits.threshold == nil))
            #expect((terms.minimum == nil) == (traits.minimum == nil))
            #expect(terms.threshold.map { traits.threshold?.range.contains($0) == true } ?? true)
        }
        #expect(found([], backlog(100, of: ours)) == [])
        #expect(found([], backlog(101, of: ours)) == ["shipped seen"])
    }

    @Test("a row of the instance stands in the shipped rule's place; several stand beside each other")
    func instance() {
        let low = AlertRule.test(1, .failureBacklog) { $0.threshold = 10 }
        let high = AlertRule.test(2, .failureBacklog) { $0.threshold = 1_000 }
        #expect(found([high], backlog(101, of: ours)) == [])
        #expect(found([low, high], backlog(11, of: ours)) == ["1 seen"])
        #expect(found([low, high], backlog(1_001, of: ours)) == ["1 seen", "2 seen"])
        // Of other conditions the shipped rules hold still.
        #expect(AlertRuleBook([low]).rules(of: .bounceRate).map(\.id) == [nil])
    }

    @Test("a row that is switched off silences its condition; beside one that is on it says nothing")
    func off() {
        let off = AlertRule.test(1, .failureBacklog, isEnabled: false)
        #expect(found([off], backlog(1_000_000, of: ours)) == [])
        #expect(found([off, .test(2, .failureBacklog)], backlog(101, of: ours)) == ["2 seen"])
        #expect(AlertRuleBook([off]).smallestThreshold(of: .failureBacklog, about: ours) == nil)
    }

    @Test("a vault's rule is about that vault, and then it sees its own; no vault silences those who run the instance")
    func vaults() {
        let own = AlertRule.test(1, .failureBacklog, vault: ours) { $0.threshold = 5 }
        #expect(found([own], backlog(6, of: ours)) == ["1 seen"])
        #expect(found([own], backlog(6, of: theirs)) == [])
        #expect(found([own], backlog(101, of: ours)) == ["shipped hidden", "1 seen"])
        #expect(found([own], backlog(101, of: theirs)) == ["shipped seen"])
        let off = AlertRule.test(1, .failureBacklog, vault: ours, isEnabled: false)
        #expect(found([off], backlog(101, of: ours)) == ["shipped hidden"])
        #expect(found([off, .test(2, .failureBacklog, isEnabled: false)], backlog(101, of: ours)) == [])
    }

    @Test("a vault has no say about what is the whole instance's, whatever stands in the table")
    func notOfVaults() {
        let sign = AlertSign(.brokerUnreachable, subject: "rabbit:5672", detail: "")
        let row = AlertRule.test(1, .brokerUnreachable, vault: ours)
        #expect(AlertRuleBook([row]).findings(of: sign).map(\.rule) == [nil])
        #expect(AlertRuleBook([row]).rules(of: .brokerUnreachable, about: ours).count == 1)
    }

    @Test("a share counts from its minimum on, and only where its own window was counted")
    func shares() {
        func sign(_ percent: Int, of total: Int, window: Int = 3_600) -> AlertSign {
            AlertSign(
                .bounceRate, subject: "mail", vault: ours, value: percent, total: total, window: window, detail: "")
        }
        #expect(found([], sign(10, of: 50)) == ["shipped seen"])
        #expect(found([], sign(9, of: 50)) == [])
        #expect(found([], sign(100, of: 49)) == [])
        #expect(found([], sign(100, of: 50, window: 300)) == [])
        let quick = AlertRule.test(1, .bounceRate, vault: ours) {
            $0.window = 300
            $0.minimum = 5
        }
        #expect(found([quick], sign(100, of: 5, window: 300)) == ["1 seen"])
        let book = AlertRuleBook([quick])
        let windows = book.windows(of: .bounceRate)
        #expect(windows.map(\.seconds) == [300, 3_600])
        #expect(windows.map { $0.isOf(theirs) } == [false, true])
    }

    @Test("what one vault asks for changes nothing in what is asked about the others")
    func looseVault() {
        let book = AlertRuleBook([.test(1, .failureBacklog, vault: ours) { $0.threshold = 0 }])
        #expect(book.smallestThreshold(of: .failureBacklog, about: ours) == 0)
        #expect(book.smallestThreshold(of: .failureBacklog, about: theirs) == 100)
        #expect(book.smallestThreshold(of: .failureBacklog, about: nil) == 100)
        #expect(book.largestThreshold(of: .failureBacklog) == 100)
    }

    @Test(
        "a vault's rule tells by its own letters or nobody: never by the instance's ways, whatever stands in the table")
    func targets() {
        func targets(_ vault: VaultID?, _ change: (inout AlertRule.Definition) -> Void) -> [AlertTarget] {
            AlertRuleBook([.test(1, .failureBacklog, vault: vault, change)])
                .rules(of: .failureBacklog, about: ours).last?.targets ?? []
        }
        let mail = AlertTarget.vault(.init(vault: ours, sender: "a@example.com", recipients: ["b@example.net"]))
        func addresses(_ definition: inout AlertRule.Definition) {
            definition.sender = "a@example.com"
            definition.recipients = ["b@example.net"]
        }
        #expect(targets(ours) { addresses(&$0) } == [mail])
        #expect(targets(ours) { $0.channels = [.webhook] } == [])
        #expect(targets(ours) { $0.channels = [.webhook, .email] } == [])
        #expect(
            targets(ours) {
                addresses(&$0)
                $0.channels = [.webhook, .email]
            } == [mail])
        #expect(
            targets(ours) {
                addresses(&$0)
                $0.channels = []
            } == [])
        #expect(targets(ours) { _ in } == [])
        #expect(targets(nil) { _ in } == [.instance(.webhook), .instance(.email)])
        #expect(targets(nil) { $0.channels = [.webhook] } == [.instance(.webhook)])
        #expect(targets(nil) { addresses(&$0) } == [.instance(.webhook), .instance(.email)])
    }
}

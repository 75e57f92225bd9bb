// Whether a caller was cut off of late: one sign a caller, whatever the reasons.

package import Model
package import Store

extension AlertProbe {
    /// Callers that are looked at in one round.
    private static let callers = 500

    /// Whether a caller of a vault was cut off within the window.
    package static func runaway(_ runaways: RunawayRepository, clock: any WallClock) -> AlertProbe {
        AlertProbe([.runaway]) { rules in
            let windows = rules.windows(of: .runaway)
            guard let longest = windows.last else { return [] }
            func start(_ window: AlertRuleBook.Window) -> Timestamp {
                clock.now().adding(seconds: -Double(window.seconds))
            }
            guard let cuts = try? await runaways.cuts(since: start(longest), limit: callers) else { return nil }
            let each = Dictionary(grouping: cuts) { [$0.vault.text, $0.caller] }.values
            return windows.flatMap { window -> [AlertSign] in
                let since = start(window)
                return each.compactMap { cuts in
                    guard window.isOf(cuts[0].vault) else { return nil }
                    return sign(cuts.filter { $0.lastAt > since }, window.seconds)
                }
            }
        }
    }

    /// - Parameter cuts: one caller's, one a reason.
    private static func sign(_ cuts: [RunawayCut], _ window: Int) -> AlertSign? {
        guard let last = cuts.max(by: { $0.lastAt < $1.lastAt }), let since = cuts.map(\.firstAt).min() else {
            return nil
        }
        let reasons = cuts.sorted { $0.reason < $1.reason }.map { cut in
            cut.cuts == 1 ? "once for \(cut.reason)" : "\(cut.cuts) times for \(cut.reason)"
        }
        return AlertSign(
            .runaway, subject: "caller \(last.caller) of \(last.vault)", vault: last.vault,
            value: cuts.reduce(0) { $0 + $1.cuts }, window: window,
            detail: "\(last.label) was cut off \(reasons.joined(separator: " and ")) since \(since); "
                + "the last time: \(last.detail)")
    }
}

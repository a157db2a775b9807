// SPDX-License-Identifier: Apache-2.0
// The one style sheet of the public pages: light and dark, the system's own letters, nothing from elsewhere.

enum StyleSheet {
    static let path = "/style.css"

    static let text = """
        :root {
          color-scheme: light dark;
          --ground: #f6f7f9; --raised: #ffffff; --line: #d5d9e0; --field: #8a93a3; --ink: #1a1f29; --ink-soft: #566072;
          --accent: #1f5fbf; --accent-ink: #ffffff; --good: #1c6b3c; --bad: #a8231c; --bad-ground: #fdf1f0;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #12151b; --raised: #1b2029; --line: #343c4a; --field: #78839a; --ink: #e8ebf1; --ink-soft: #a4afc0;
            --accent: #8ab4f8; --accent-ink: #10141b; --good: #7fd6a0; --bad: #ff9d94; --bad-ground: #33211f;
          }
        }
        @media (prefers-contrast: more) {
          :root { --line: currentColor; --field: currentColor; --ink-soft: var(--ink); }
        }
        * { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
        body {
          margin: 0; min-height: 100vh; min-height: 100dvh; background: var(--ground); color: var(--ink);
          font: 16px/24px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
        }
        main { max-width: 440px; margin: 0 auto; padding: 32px 20px 48px; }
        .name { margin: 0 0 20px; color: var(--ink-soft); font-size: 15px; line-height: 22px; font-weight: 600; }
        .card { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: 24px 20px; }
        h1 { margin: 0 0 12px; font-size: 28px; line-height: 36px; letter-spacing: -0.01em; text-wrap: balance; }
        p { margin: 0 0 16px; }
        p:last-child { margin-bottom: 0; }
        .soft { color: var(--ink-soft); font-size: 15px; line-height: 22px; }
        label, .field { display: block; margin: 0 0 4px; font-weight: 600; }
        input:not([hidden]) {
          display: block; width: 100%; min-height: 48px; margin: 0 0 16px; padding: 8px 12px; border: 1px solid var(--field);
          border-radius: 8px; background: var(--raised); color: var(--ink); font: inherit;
        }
        .hint { margin: -8px 0 16px; }
        button {
          display: block; width: 100%; min-height: 48px; margin: 8px 0 0; padding: 8px 20px; border: 0; border-radius: 8px;
          background: var(--accent); color: var(--accent-ink); font: inherit; font-weight: 600; cursor: pointer;
        }
        :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        .wrong {
          margin: 0 0 16px; padding: 12px; border: 1px solid var(--bad); border-radius: 8px; background: var(--bad-ground);
        }
        .wrong strong, .wrong-word { color: var(--bad); }
        .good-word { color: var(--good); }
        .login { margin: 0 0 16px; padding: 11px 12px; border-radius: 8px; background: var(--ground); overflow-wrap: anywhere; }
        @media (min-width: 640px) {
          main { padding-top: 12vh; }
          .card { padding: 32px; box-shadow: 0 1px 2px rgb(0 0 0 / 6%), 0 8px 24px rgb(0 0 0 / 6%); }
        }
        @media print {
          body { background: none; }
          .card { border: 0; box-shadow: none; }
        }

        """
}

// The theme colours the heads of a sequence's arrows by ids that Mermaid has since put a prefix to: in the dark
// they would be black on black.
const initialize = mermaid.initialize;
mermaid.initialize = (settings) => {
  const line = "var(--md-mermaid-sequence-message-line-color)";
  const heads = `[id$="-arrowhead"] path { fill: ${line} !important; stroke: none !important }
    [id$="-crosshead"] path { stroke: ${line} !important }`;
  initialize({ ...settings, themeCSS: (settings.themeCSS ?? "") + heads });
};

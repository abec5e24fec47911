// Buttons that copy: the certificate's password, or the page's own address. Without this script they stay hidden, and
// both can be copied by hand.
"use strict";

const copied = (button) => {
  const label = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = label; }, 2500);
};

for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  const source = button.dataset.copy && document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", () => {
    const text = source ? source.textContent : location.href;
    navigator.clipboard.writeText(text).then(() => copied(button), () => {
      if (source) getSelection().selectAllChildren(source);
    });
  });
}

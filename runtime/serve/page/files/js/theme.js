// Sets the theme before anything is drawn; a classic script, because modules run too late for that.
const theme = localStorage.getItem("theme");
if (theme) document.documentElement.dataset.theme = theme;

addEventListener("DOMContentLoaded", () => {
  const select = document.getElementById("theme");
  select.value = theme ?? "";
  select.addEventListener("change", () => {
    localStorage.setItem("theme", select.value);
    document.documentElement.dataset.theme = select.value;
  });
});

<%@page contentType="text/plain;charset=UTF-8" session="false"%><%
// Which area of the application answers, by what Tomcat says was asked for, and what is executed there: like Spring, Rails
// and Laravel, a POST does what a header or the parameter _method says.
String area = request.getServletPath(), info = request.getPathInfo(), method = request.getMethod();
if (area.equals("/residents"))
    area = info == null ? "/other" : info.matches("/[^/]+/delete") ? "/delete" : info.matches("/[0-9]+") ? "/resident" : "/other";
else if (area.equals("/staff/salary")) area = "/salary";
else if (!area.matches("/(admin|public|files|api|v2)")) area = "/other";
if (method.equals("POST")) {
    String[] named = { request.getHeader("X-HTTP-Method-Override"), request.getHeader("X-HTTP-Method"),
        request.getHeader("X-Method-Override"), request.getParameter("_method") };
    for (String name : named) if (name != null) method = name.toUpperCase();
}
%>served=<%= area.substring(1) %> method=<%= method %>
